"""Predictions as documents: with their output, its files as URLs, their log and their metrics."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

from seatrial.domain.credentials import Principal
from seatrial.domain.home import Home
from seatrial.domain.jobs import Job, JobState, Part
from seatrial.domain.json_text import parse_answer_json
from seatrial.domain.limits import (
    COG_FILE_INLINE_BYTES_MAX,
    COG_LOGS_LINES_MAX,
    COG_OUTPUT_BYTES_MAX,
    COG_OUTPUT_URL_SECONDS,
    JSON_PARSED_ON_LOOP_BYTES_MAX,
)
from seatrial.domain.logs import LogFilter
from seatrial.domain.media_types import essence, is_json
from seatrial.engine.inspect import Inspector
from seatrial.engine.keyring import Keyring
from seatrial.engine.streams import Streams
from seatrial.http.api.logs import log_group
from seatrial.http.dialects.cog import status as dialect
from seatrial.http.presigned import part_url
from seatrial.http.published import published_bytes
from seatrial.ports.log_store import LogStore
from seatrial.ports.object_store import ObjectStore

PRIMARY = "result"
_REFERENCE = {"uri", "media_type", "bytes", "sha256"}


class Documents:
    """Reads what a job has told, logged and published. Small files are data URLs, larger ones signed URLs."""

    def __init__(
        self,
        inspector: Inspector,
        objects: ObjectStore,
        streams: Streams,
        logs: LogStore,
        keyring: Keyring,
        base_url: str,
        home: Home | None,
    ) -> None:
        self._inspector = inspector
        self._objects = objects
        self._streams = streams
        self._logs = logs
        self._keyring = keyring
        self._home = home
        self._base_url = f"{base_url}/"

    async def prediction(self, job: Job, asker: Principal | None = None) -> dict[str, Any]:
        """The document of a job as it is, for who asks; None: for its receiver."""
        logs, metrics = await self.logs(job), self.metrics(job.id)
        if job.state is JobState.SUCCEEDED:
            return dialect.prediction(job, logs=logs, metrics=metrics, output=await self._output(job, asker))
        given = None if job.ended else _given(job)
        return dialect.prediction(job, logs=logs, metrics=metrics, given=given)

    async def logs(self, job: Job) -> str:
        """What it has written, a line each."""
        await self._logs.settled()
        which = LogFilter(group=log_group(job.endpoint_name), job_id=job.id, limit=COG_LOGS_LINES_MAX)
        return "".join(f"{line.text}\n" for line in await self._logs.lines(which))

    def metrics(self, job_id: str) -> Mapping[str, Any]:
        """Those that its code has recorded, as far as they are at hand."""
        told = self._streams.latest(job_id)
        said = None if told is None else json.loads(told)
        found = said.get("metrics") if isinstance(said, dict) else None
        return found if isinstance(found, dict) else {}

    # ------------------------------------------------------------------ the output

    async def _output(self, job: Job, asker: Principal | None) -> Any:
        part = next(one for one in job.parts if one.name == PRIMARY)
        if not is_json(part.media_type):
            return await self._file(job, part, asker)
        if part.size_bytes > COG_OUTPUT_BYTES_MAX:
            return part_url(
                self._keyring, asker, self._base_url, job.id, part.name, part.object, self._home, COG_OUTPUT_URL_SECONDS
            )
        body = await published_bytes(self._inspector, self._objects, job, part)
        if body is None:
            return None
        is_short = len(body) <= JSON_PARSED_ON_LOOP_BYTES_MAX
        answer = parse_answer_json(body) if is_short else await asyncio.to_thread(parse_answer_json, body)
        beside = {one.object.uri: one for one in job.parts if one.name != PRIMARY}
        return await self._with_urls(job, answer, beside, asker) if beside else answer

    async def _with_urls(self, job: Job, value: Any, parts: Mapping[str, Part], asker: Principal | None) -> Any:
        """The answer, with a URL in place of each reference to one of its own parts."""
        if isinstance(value, list):
            return [await self._with_urls(job, one, parts, asker) for one in value]
        if not isinstance(value, dict):
            return value
        part = parts.get(str(value.get("uri"))) if value.keys() == _REFERENCE else None
        if part is not None:
            return await self._file(job, part, asker)
        return {name: await self._with_urls(job, one, parts, asker) for name, one in value.items()}

    async def _file(self, job: Job, part: Part, asker: Principal | None) -> Any:
        if (
            essence(part.media_type) == "text/plain"
            and part.name == PRIMARY
            and part.size_bytes <= COG_OUTPUT_BYTES_MAX
        ):
            body = await published_bytes(self._inspector, self._objects, job, part)
            return None if body is None else body.decode(errors="replace")
        if part.size_bytes > COG_FILE_INLINE_BYTES_MAX:
            return part_url(
                self._keyring, asker, self._base_url, job.id, part.name, part.object, self._home, COG_OUTPUT_URL_SECONDS
            )
        body = await published_bytes(self._inspector, self._objects, job, part)
        if body is None:
            return None  # it was deleted since
        return f"data:{essence(part.media_type)};base64,{base64.b64encode(body).decode()}"


def _given(job: Job) -> Any:
    """The input, where it is at hand."""
    if job.input.inline is None:
        return None
    try:
        return json.loads(job.input.inline)
    except ValueError:
        return None
