"""Webhooks of predictions: the end by the outbox of jobs; start, output and logs as they happen, by it as well.

The end is written in the transaction of the job's terminal state. What is told before is told by the server that
accepted the prediction, for as long as it is up.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import structlog

from seatrial.domain.delivery import Delivery, DeliveryState, Target, TargetKind
from seatrial.domain.jobs import Job
from seatrial.domain.limits import COG_EVENT_OUTPUT_BYTES_MAX, COG_FOLLOWED_MAX
from seatrial.engine.deliver import Deliverer, Message, TooLate
from seatrial.engine.inspect import Inspector
from seatrial.http.dialects.cog import status as dialect
from seatrial.http.dialects.cog.requests import COMPLETED, TRACE
from seatrial.http.doors.cog.documents import Documents
from seatrial.http.doors.cog.following import Following
from seatrial.ports.clock import Clock

log = structlog.get_logger(__name__)


class CogWebhooks:
    """What receivers are told, put together when they are told."""

    def __init__(self, inspector: Inspector, documents: Documents) -> None:
        self._inspector = inspector
        self._documents = documents

    async def words(self, delivery: Delivery) -> Message:
        """The prediction. Raises TooLate: of one that has ended meanwhile, only its end is told again."""
        job = await self._inspector.job(delivery.job_id)
        trace = json.loads(job.attributes.get(TRACE, "{}"))
        if delivery.event in ("start", "output", "logs"):
            if delivery.tries and job.ended:
                raise TooLate
            return Message(delivery.body.encode(), headers=trace)
        return Message(json.dumps(await self._documents.prediction(job)).encode(), headers=trace)


class Events:
    """Puts what happens to predictions into the outbox, as far as their webhooks want it."""

    def __init__(self, following: Following, documents: Documents, deliverer: Deliverer, clock: Clock) -> None:
        self._following = following
        self._documents = documents
        self._deliverer = deliverer
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, job_id: str, address: str, events: frozenset[str]) -> None:
        """Follow a prediction that was just accepted. Of too many at once the further ones are told only their end."""
        if not events - {COMPLETED} or len(self._tasks) >= COG_FOLLOWED_MAX:
            return
        task = asyncio.create_task(self._follow(job_id, Target(TargetKind.COG, address), events))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, job_id: str, target: Target, events: frozenset[str]) -> None:
        output: list[Any] = []
        output_bytes = number = 0
        try:
            async for one in self._following.follow(job_id, at_once=False):
                told = [("start", one.begun)]  # of what happened just before the end, the end tells
                told += [] if one.job.ended else [("output", bool(one.chunks)), ("logs", bool(one.logs))]
                output += [chunk for _, chunk in one.chunks]
                output_bytes += sum(len(json.dumps(chunk)) for _, chunk in one.chunks)
                for event, happened in told:
                    if event in events and happened and output_bytes <= COG_EVENT_OUTPUT_BYTES_MAX:
                        number += 1
                        await self._post(one.job, target, event, number, output)
        except Exception:  # the edge of a background task: the end is told in any case
            log.exception("cog.events_not_told", job_id=job_id)

    async def _post(self, job: Job, target: Target, event: str, number: int, output: list[Any]) -> None:
        given = output or dialect.NO_OUTPUT
        logs, metrics = await self._documents.logs(job), self._documents.metrics(job.id)
        document = dialect.under_way(job, logs=logs, metrics=metrics, output=given)
        now_ms = self._clock.now_ms()
        await self._deliverer.post(
            Delivery(
                id=f"msg_{job.id.replace('-', '')}_{event}_{number}",
                job_id=job.id,
                endpoint_name=job.endpoint_name,
                target=target,
                event=event,
                body=json.dumps(document),
                state=DeliveryState.PENDING,
                tries=0,
                created_at_ms=now_ms,
                next_at_ms=now_ms,
            )
        )
