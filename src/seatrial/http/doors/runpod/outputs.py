"""Jobs with their outputs, as RunPod's documents have them."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from seatrial.domain.credentials import Principal
from seatrial.domain.delivery import Delivery
from seatrial.domain.home import Home
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.json_text import parse_answer_json
from seatrial.domain.limits import (
    JSON_PARSED_ON_LOOP_BYTES_MAX,
    RUNPOD_OUTPUT_SHOWN_BYTES_MAX,
    RUNPOD_OUTPUT_URL_SECONDS,
)
from seatrial.domain.media_types import essence, is_json
from seatrial.engine.deliver import Message
from seatrial.engine.inspect import Inspector
from seatrial.engine.keyring import Keyring
from seatrial.engine.streams import Streams
from seatrial.http.dialects.runpod import status as dialect
from seatrial.http.presigned import part_url
from seatrial.http.published import published_bytes
from seatrial.ports.object_store import ObjectStore

PRIMARY = "result"


class Outputs:
    """Reads what a job has told and published. An object that is too large to be shown has a signed URL instead."""

    def __init__(
        self,
        inspector: Inspector,
        objects: ObjectStore,
        streams: Streams,
        keyring: Keyring,
        base_url: str,
        home: Home | None,
    ) -> None:
        self._inspector = inspector
        self._objects = objects
        self._streams = streams
        self._keyring = keyring
        self._home = home
        self._base_url = f"{base_url}/"

    async def status(self, job: Job, shown_id: str, asker: Principal | None = None) -> dict[str, Any]:
        """The document of a job, for who asks; None: for its receiver."""
        if job.state is JobState.SUCCEEDED:
            return dialect.status(job, shown_id, await self._output(job, asker))
        told = self._streams.progress_of(job)
        return dialect.status(job, shown_id, progress=dialect.NO_OUTPUT if told is None else told)

    async def chunks(self, job: Job, asker: Principal) -> list[Any]:
        """What its handler has yielded since this was last asked; a whole output counts as one chunk."""
        if job.state is not JobState.SUCCEEDED:
            return [json.loads(one) for one in self._streams.fetch(job.id)]
        output = await self._output(job, asker)
        whole = output if self._streams.is_known(job.id) and isinstance(output, list) else [output]
        return self._streams.fetch_rest(job.id, whole)

    async def _output(self, job: Job, asker: Principal | None) -> Any:
        part = next(one for one in job.parts if one.name == PRIMARY)
        if part.size_bytes > RUNPOD_OUTPUT_SHOWN_BYTES_MAX:
            url = part_url(
                self._keyring,
                asker,
                self._base_url,
                job.id,
                part.name,
                part.object,
                self._home,
                RUNPOD_OUTPUT_URL_SECONDS,
            )
            return {"url": url, "media_type": part.media_type, "bytes": part.size_bytes}
        body = await published_bytes(self._inspector, self._objects, job, part)
        if body is None:
            return {"error": f"{part.object.uri} was deleted or replaced since.", "media_type": part.media_type}
        if is_json(part.media_type):
            is_short = len(body) <= JSON_PARSED_ON_LOOP_BYTES_MAX
            return parse_answer_json(body) if is_short else await asyncio.to_thread(parse_answer_json, body)
        if essence(part.media_type).startswith("text/"):
            return body.decode(errors="replace")
        return f"data:{essence(part.media_type)};base64,{base64.b64encode(body).decode()}"


async def told_by_webhook(inspector: Inspector, outputs: Outputs, delivery: Delivery) -> Message:
    """The body that RunPod's webhooks have: the job's status document."""
    job = await inspector.job(delivery.job_id)
    return Message(json.dumps(await outputs.status(job, job.id), ensure_ascii=False).encode())
