"""Runs requests of a trial as jobs, through the real queue, storage and publication."""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.domain.failures import Failure
from seatrial.domain.jobs import Job
from seatrial.domain.limits import LONG_POLL_SECONDS_MAX
from seatrial.engine.crew import Crew
from seatrial.engine.submission import Submission
from seatrial.engine.trial.court import Court
from seatrial.engine.trial.reason import unproven


class Runs:
    """Jobs that only the version on trial may take. `stage` is named when its workers give up meanwhile."""

    def __init__(self, court: Court, crew: Crew, stage: str) -> None:
        self._court = court
        self._crew = crew
        self._stage = stage

    async def run(self, submission: Submission) -> Job:
        """The job once it has ended, either way.

        Raises:
            Unproven: the crew gave up.
            SeatrialError: the submission was refused.
        """
        return await self.ended(await self.submit(submission))

    async def submit(self, submission: Submission) -> str:
        """The id of the job. Raises as `run` does."""
        self._check_crew()
        accepted = await self._court.submitter.submit(submission)
        return accepted.job_id

    async def ended(self, job_id: str) -> Job:
        """Wait for the end of a job. Raises Unproven: the crew gave up."""
        job = await self._court.inspector.wait(job_id, LONG_POLL_SECONDS_MAX)
        while not job.ended:
            self._check_crew(job_id)
            job = await self._court.inspector.wait(job_id, LONG_POLL_SECONDS_MAX)
        return job

    async def forget(self, jobs: Sequence[Job]) -> None:
        """Remove what these jobs published: it has served its purpose."""
        for job in jobs:
            for name in [part.object for part in job.parts] or [job.output.failure]:
                await self._court.objects.delete(name)

    def _check_crew(self, job_id: str | None = None) -> None:
        broken_by = self._crew.broken_by
        if broken_by is not None:
            named = {} if job_id is None else {"job_id": job_id}
            said = Failure(broken_by.error_type, broken_by.message, dict(broken_by.details) | named)
            raise unproven(self._stage, "Workers keep failing", said)


def handler_seconds(job: Job) -> float:
    """From the handler's start to the end of the job."""
    if job.started_at_ms is None or job.ended_at_ms is None:
        return 0.0
    return max(0, job.ended_at_ms - job.started_at_ms) / 1000
