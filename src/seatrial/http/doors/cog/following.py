"""What happens to a prediction while it runs: that it starts, what it yields, what it logs, that it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

from seatrial.domain.jobs import Job, JobState
from seatrial.domain.limits import COG_EVENTS_MS
from seatrial.domain.logs import LogFilter
from seatrial.engine.inspect import Inspector
from seatrial.engine.streams import Streams
from seatrial.http.api.logs import log_group
from seatrial.ports.log_store import LogStore


@dataclass(frozen=True, slots=True)
class Happening:
    """Since the one before: the job as it is, whether it has just begun, and what it yielded and wrote."""

    job: Job
    begun: bool = False
    chunks: tuple[tuple[int, Any], ...] = ()
    logs: str = ""


@dataclass(slots=True)
class _Heard:
    job: Job | None = None
    chunks: list[tuple[int, bytes]] = field(default_factory=list)
    change: asyncio.Event = field(default_factory=asyncio.Event)


class Following:
    """Follows jobs that run on this server."""

    def __init__(self, inspector: Inspector, streams: Streams, logs: LogStore) -> None:
        self._inspector = inspector
        self._streams = streams
        self._logs = logs

    async def follow(self, job_id: str, *, at_once: bool) -> AsyncIterator[Happening]:
        """Until the job has ended. `at_once`: each chunk as it comes; else what there is twice a second."""
        heard = _Heard()

        def on_chunk(number: int, chunk: bytes) -> None:
            heard.chunks.append((number, chunk))
            if at_once:
                heard.change.set()

        stop = self._streams.listen(job_id, on_chunk)
        looking = asyncio.ensure_future(self._look(job_id, heard))
        try:
            async for happening in self._happenings(heard):
                yield happening
        finally:
            stop()
            looking.cancel()

    async def _look(self, job_id: str, heard: _Heard) -> None:
        async for job in self._inspector.follow(job_id):
            heard.job = job
            heard.change.set()

    async def _happenings(self, heard: _Heard) -> AsyncIterator[Happening]:
        begun, after_id = False, 0
        while True:
            try:
                await asyncio.wait_for(heard.change.wait(), COG_EVENTS_MS / 1000)
            except TimeoutError:
                pass
            heard.change.clear()
            job = heard.job
            if job is None or (job.state is JobState.QUEUED and not heard.chunks):
                continue
            chunks, heard.chunks = heard.chunks, []
            logs, after_id = await self._written(job, after_id)
            happening = Happening(job, chunks=tuple((n, json.loads(one)) for n, one in chunks), logs=logs)
            yield replace(happening, begun=not begun)
            begun = True
            if job.ended:
                return

    async def _written(self, job: Job, after_id: int) -> tuple[str, int]:
        if job.ended:
            await self._logs.settled()
        which = LogFilter(group=log_group(job.endpoint_name), job_id=job.id, after_id=after_id)
        lines = await self._logs.lines(which)
        last = lines[-1].id if lines else None
        return "".join(f"{line.text}\n" for line in lines), after_id if last is None else last
