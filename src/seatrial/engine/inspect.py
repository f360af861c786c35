"""Look at jobs: one, many, or one until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from seatrial.domain.errors import JOB_NOT_FOUND, SERVER_STOPPING, Busy, NotFound
from seatrial.domain.jobs import Job, JobFilter, JobState
from seatrial.engine.watch import Watch
from seatrial.ports.job_store import JobStore


class Inspector:
    """The one read model of jobs, for every door and screen."""

    def __init__(self, store: JobStore, watch: Watch) -> None:
        self._store = store
        self._watch = watch
        self._waiting: set[asyncio.Future[Job | None]] = set()
        self._closed = False

    async def job(self, job_id: str) -> Job:
        """The job as it is now.

        Raises:
            NotFound: no such job.
        """
        ended = self._watch.recent(job_id)
        job = ended.job if ended else await self._store.job(job_id)
        if job is None:
            raise NotFound(JOB_NOT_FOUND, f"There is no job {job_id!r}.")
        return job

    def small_part(self, job_id: str, part_name: str) -> bytes | None:
        """A part's bytes, if the job ended here a moment ago and they are small; else read the part's object."""
        ended = self._watch.recent(job_id)
        return ended.small_parts.get(part_name) if ended else None

    async def jobs(self, which: JobFilter) -> list[Job]:
        """A page of jobs, newest first."""
        return await self._store.jobs(which)

    async def counts(self, endpoint_id: str) -> Mapping[JobState, int]:
        """How many client jobs of an endpoint are in each state."""
        return await self._store.counts(endpoint_id)

    async def check(self) -> None:
        """Raises StoreUnavailable: no job could be accepted now."""
        await self._store.check()

    async def wait(self, job_id: str, timeout_seconds: float) -> Job:
        """The job once it has ended, or as it is when the time has passed.

        Raises:
            NotFound: no such job.
            Busy: the server stops before either; the job goes on when it is back.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Job | None] = loop.create_future()  # None: the time has passed

        def listener(job: Job) -> None:
            if job.ended and not ended.done():
                ended.set_result(job)

        stop = self._watch.listen(job_id, listener)
        try:
            if timeout_seconds <= 0 or not self._watch.is_pending(job_id):
                job = await self.job(job_id)
                if job.ended or timeout_seconds <= 0:
                    return job
            if self._closed:
                raise _stopping(job_id)
            self._waiting.add(ended)
            alarm = loop.call_later(timeout_seconds, _pass, ended)
            try:
                found = await ended
            finally:
                alarm.cancel()
            return found or await self.job(job_id)
        except asyncio.CancelledError:
            if self._closed and ended.cancelled():
                raise _stopping(job_id) from None
            raise
        finally:
            self._waiting.discard(ended)
            stop()

    def close(self) -> None:
        """The server stops: answer everybody who still waits."""
        self._closed = True
        for ended in self._waiting:
            ended.cancel()

    async def follow(self, job_id: str) -> AsyncIterator[Job]:
        """The job now and after every change, until it has ended.

        Raises:
            NotFound: no such job.
        """
        changes: asyncio.Queue[Job] = asyncio.Queue()
        stop = self._watch.listen(job_id, changes.put_nowait)
        try:
            job = await self.job(job_id)
            yield job
            while not job.ended:
                job = await changes.get()
                yield job
        finally:
            stop()


def _pass(ended: asyncio.Future[Job | None]) -> None:
    if not ended.done():
        ended.set_result(None)


def _stopping(job_id: str) -> Busy:
    return Busy(SERVER_STOPPING, f"The server is stopping; job {job_id} goes on when it is back.")
