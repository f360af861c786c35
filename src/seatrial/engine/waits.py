"""What a job that has not ended waits for, and until when at the latest: nothing waits without a bound."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.domain.endpoint import Endpoint, EndpointStatus, UpdateWay
from seatrial.domain.errors import NotFound
from seatrial.domain.jobs import Job, JobPurpose, JobState
from seatrial.domain.limits import QUEUE_PLACES_COUNTED_MAX
from seatrial.engine.deploy import Deployer
from seatrial.ports.job_store import JobStore


@dataclass(frozen=True, slots=True)
class Wait:
    """`what` for people, completing "waits for"; `until_ms`, since the epoch, is when that is over at the latest."""

    what: str
    until_ms: int


def wait_of(job: Job) -> Wait | None:
    """As far as the job itself tells; None: it has ended."""
    if job.state is JobState.AWAITING_UPLOAD:
        return Wait("its input to be uploaded", job.upload_by_ms or job.decide_by_ms)
    if job.state is JobState.QUEUED:
        begun = job.attempt > 0  # the queue's TTL is for jobs that nobody has begun with
        until_ms = job.decide_by_ms if begun else min(job.queue_deadline_ms, job.decide_by_ms)
        return Wait("a free worker for its next attempt" if begun else "a free worker", until_ms)
    if job.state is JobState.RUNNING:
        if job.cancel_requested:
            return Wait("its work to be over, since its cancel was wished", job.decide_by_ms)
        until_ms = (job.started_at_ms or job.submitted_at_ms) + job.invocation_timeout_ms
        return Wait("its handler", min(until_ms, job.decide_by_ms))
    if job.state is JobState.PUBLISHING:
        return Wait("its outcome to become visible", job.publish_by_ms or job.decide_by_ms)
    return None


class Waits:
    """The same with what the queue, the endpoint and its workers say to it."""

    def __init__(self, store: JobStore, deployer: Deployer) -> None:
        self._store = store
        self._deployer = deployer

    async def of(self, job: Job) -> Wait | None:
        """What it waits for; None: it has ended."""
        wait = wait_of(job)
        if wait is None or job.state is not JobState.QUEUED:
            return wait
        what = await self._missing(job) or wait.what + await self._place(job)
        return Wait(what, wait.until_ms)

    async def _missing(self, job: Job) -> str | None:
        """Why no worker could take it now."""
        try:
            endpoint = await self._deployer.endpoint(job.endpoint_name)
        except NotFound:
            return "its end: its endpoint was deleted"
        if job.purpose is JobPurpose.CLIENT and endpoint.active_version is None:
            if endpoint.status is EndpointStatus.CREATING:
                return "its endpoint, whose trial goes on"
            return f"an update of its endpoint, which is {endpoint.status}"
        workers = self._deployer.crew_state(job.version_id or endpoint.active_version)
        if workers is None:
            return await self._preparing(endpoint)
        if endpoint.workers_desired == 0 and job.version_id is None:
            return "an outside worker to take it: its endpoint has none here"
        if workers.ready:
            return await self._held_back(job, endpoint)
        if workers.backs_off_ms is not None:
            return f"a worker, which starts again in {workers.backs_off_ms / 1000:.0f} s after it fell"
        return "a worker, which is loading its model"

    async def _preparing(self, endpoint: Endpoint) -> str:
        target = endpoint.target_version
        if target and (await self._deployer.version(target)).settings.update is UpdateWay.REPLACE:
            return "the new version of its endpoint, which is proved in the place of the old one"
        if endpoint.status is EndpointStatus.ROLLING_BACK:
            return "the old version of its endpoint, which is loaded again"
        return "its endpoint's workers, which are being prepared"

    async def _held_back(self, job: Job, endpoint: Endpoint) -> str | None:
        """What keeps workers from it that are there."""
        if job.exclusive:
            return "its device to be free of other jobs: its task is exclusive"
        active = endpoint.active_version
        limit = (await self._deployer.version(active)).settings.concurrency_max if active else None
        if job.purpose is not JobPurpose.CLIENT or limit is None:
            return None
        running = (await self._store.counts(endpoint.id)).get(JobState.RUNNING, 0)
        return f"one of the {limit} jobs that its endpoint runs at once to end" if running >= limit else None

    async def _place(self, job: Job) -> str:
        ahead = await self._store.ahead_of(job.id, QUEUE_PLACES_COUNTED_MAX)
        if not ahead:
            return ", as the next one"
        more = " or more" if ahead == QUEUE_PLACES_COUNTED_MAX else ""
        return f", behind {ahead}{more} other {'job' if ahead == 1 else 'jobs'}"
