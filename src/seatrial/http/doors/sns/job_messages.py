"""What a topic is told of an ended job: SageMaker's message, put together when it is told."""

from __future__ import annotations

import json

from seatrial.domain.delivery import Delivery
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.limits import TOPIC_ANSWER_BYTES_MAX
from seatrial.engine.inspect import Inspector
from seatrial.http.dialects.sagemaker_notifications import message
from seatrial.http.published import published_bytes
from seatrial.ports.object_store import ObjectStore


class JobMessages:
    """Reads jobs and their small answers."""

    def __init__(self, inspector: Inspector, objects: ObjectStore, region: str) -> None:
        self._inspector = inspector
        self._objects = objects
        self._region = region

    async def message(self, delivery: Delivery, *, with_answer: bool) -> str:
        """The message of the job that a delivery tells of. Raises NotFound: it was forgotten."""
        job = await self._inspector.job(delivery.job_id)
        return message(job, self._region, await self._answer(job) if with_answer else None)

    async def _answer(self, job: Job) -> bytes | None:
        """None: too large to be told along, or not there any more."""
        if job.state is not JobState.SUCCEEDED:
            body = json.dumps(dict(job.failure or {})).encode()
            return body if len(body) <= TOPIC_ANSWER_BYTES_MAX else None
        primary = next(part for part in job.parts if part.name == "result")
        if primary.size_bytes > TOPIC_ANSWER_BYTES_MAX:
            return None
        return await published_bytes(self._inspector, self._objects, job, primary)
