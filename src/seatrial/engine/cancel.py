"""Cancel a job: a queued one at once, a running one once its process is gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from seatrial.domain import commands as c
from seatrial.domain.errors import JOB_ALREADY_ENDED, JOB_NOT_FOUND, Conflict, NotFound
from seatrial.domain.jobs import Job
from seatrial.domain.limits import LONG_POLL_SECONDS_MAX
from seatrial.engine.inspect import Inspector
from seatrial.engine.watch import Watch
from seatrial.ports.clock import Clock
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.job_store import JobStore

PURGE_BATCH = 500


class Canceller:
    """`stop_work` ends the work of a claim, named by its session and token, and returns once it is over."""

    def __init__(
        self,
        store: JobStore,
        watch: Watch,
        inspector: Inspector,
        clock: Clock,
        stop_work: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._watch = watch
        self._inspector = inspector
        self._clock = clock
        self._stop_work = stop_work

    async def cancel(self, job_id: str) -> Job:
        """The job as it is afterwards: cancelled, once its work is really gone.

        Raises:
            NotFound: no such job.
            Conflict: it has its outcome already.
        """
        match await self._wish(job_id):
            case c.CancelAccepted(job=job, session=None):
                return job if job.ended else await self._inspector.wait(job_id, LONG_POLL_SECONDS_MAX)
            case c.CancelAccepted(session=str() as session, token=str() as token):
                await self._stop_work(session, token)
                reached(CrashPoint.CANCEL_PROCESS_GONE)
                await self._wish(job_id)  # it may have gone back to the queue just before it could be stopped
                return await self._inspector.wait(job_id, LONG_POLL_SECONDS_MAX)
            case c.CancelRefused(state):
                raise Conflict(JOB_ALREADY_ENDED, f"Job {job_id} is {state} already; a terminal state never changes.")
            case _:
                raise NotFound(JOB_NOT_FOUND, f"There is no job {job_id!r}.")

    async def purge(self, endpoint_id: str) -> int:
        """Cancel what waits in an endpoint's queue, its trials' own jobs apart; how many there were."""
        removed = 0
        while True:
            (outcome,) = await self._store.apply([c.CancelQueued(endpoint_id, self._clock.now_ms(), PURGE_BATCH)])
            jobs = outcome.jobs if isinstance(outcome, c.Expired) else ()
            self._watch.changed(jobs)
            removed += len(jobs)
            if len(jobs) < PURGE_BATCH:
                return removed

    async def _wish(self, job_id: str) -> c.JobOutcome:
        (outcome,) = await self._store.apply([c.Cancel(job_id, self._clock.now_ms())])
        reached(CrashPoint.CANCEL_COMMITTED)
        if isinstance(outcome, c.CancelAccepted) and outcome.session is None:
            self._watch.changed([outcome.job])
        return outcome
