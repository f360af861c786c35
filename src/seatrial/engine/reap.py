"""End what has waited too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from seatrial.domain import commands as c
from seatrial.domain.limits import OVERDUE_SECONDS, REAP_JOBS_MAX
from seatrial.engine.multipart import MultipartUploads
from seatrial.engine.watch import Watch
from seatrial.ports.clock import Clock
from seatrial.ports.job_store import JobStore, StoreUnavailable

log = structlog.get_logger()

REAP_INTERVAL_MS = 500
UPLOADS_INTERVAL_MS = 3_600_000


class Reaper:
    """Fails queued jobs whose queue TTL or deadline has passed, and drops uploads that nobody completes.

    A running job is ended at its deadline by who runs it. Whose runner does not, for whatever reason, loses its
    worker here (`end_session`), and the job its claim.
    """

    def __init__(
        self,
        store: JobStore,
        watch: Watch,
        uploads: MultipartUploads,
        clock: Clock,
        end_session: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        self._store = store
        self._watch = watch
        self._uploads = uploads
        self._clock = clock
        self._end_session = end_session
        self._ending: dict[str, asyncio.Task[None]] = {}  # by session

    async def run(self) -> None:
        """For ever, until cancelled."""
        uploads_due_ms = self._clock.monotonic_ms()
        while True:
            await self._clock.sleep_ms(REAP_INTERVAL_MS)
            try:
                while await self.reap() == REAP_JOBS_MAX:
                    pass
                await self.end_overdue()
                if self._clock.monotonic_ms() >= uploads_due_ms:
                    uploads_due_ms += UPLOADS_INTERVAL_MS
                    await self._uploads.expire()
            except StoreUnavailable as error:
                log.warning("reaper.store_unavailable", error=str(error))
            except Exception:  # the named edge: a defect in one round must not end deadlines for good
                log.exception("reaper.defect")

    async def end_overdue(self) -> None:
        """Begin to end the workers that hold a job past its deadline; those of other servers are theirs to end."""
        until_ms = self._clock.now_ms() - OVERDUE_SECONDS * 1000
        for session in await self._store.overdue(until_ms):
            if session not in self._ending:
                log.warning("reaper.overdue", session=session)
                self._ending[session] = task = asyncio.create_task(self._end_session(session))
                task.add_done_callback(lambda _, session=session: self._ending.pop(session, None))  # type: ignore[misc]

    async def reap(self) -> int:
        """Expire one batch; how many jobs it ended."""
        due_ms = await self._store.next_deadline_ms()
        now_ms = self._clock.now_ms()
        if due_ms is None or due_ms > now_ms:
            return 0
        (outcome,) = await self._store.apply([c.Expire(now_ms, REAP_JOBS_MAX)])
        if not isinstance(outcome, c.Expired):
            return 0
        self._watch.changed(outcome.jobs)
        return len(outcome.jobs)
