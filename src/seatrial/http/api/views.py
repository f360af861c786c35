"""What the native API shows: endpoints, versions, jobs, log lines. Times are RFC 3339 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from seatrial.domain.canary import Canary, CanaryCause, CanaryState
from seatrial.domain.endpoint import Endpoint, EndpointVersion, StageReport
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.logs import LogLine
from seatrial.domain.memory import MemoryUse
from seatrial.engine.waits import Wait, wait_of

PRIMARY = "result"


def instant(at_ms: int) -> str:
    """Milliseconds since the epoch as 2026-01-31T12:00:00.000Z."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def maybe_instant(at_ms: int | None) -> str | None:
    """The same, of what may not be."""
    return None if at_ms is None else instant(at_ms)


# ---------------------------------------------------------------- jobs


class JobLinks(BaseModel):
    """Where to go on; paths of this server."""

    self: str
    result: str
    cancel: str
    retry: str
    events: str
    logs: str

    @classmethod
    def of(cls, job_id: str) -> JobLinks:
        """The links of a job."""
        path = f"/v1/jobs/{job_id}"
        further = {name: f"{path}/{name}" for name in ("result", "cancel", "retry", "events", "logs")}
        return cls(self=path, **further)


class JobAccepted(BaseModel):
    """A job that is durable. `existing`: an earlier request with the same Idempotency-Key had made it."""

    id: str
    status: str = "queued"
    endpoint: str
    existing: bool = False
    retry_of: str | None = Field(None, description="Of a retry: the job whose input it runs again.")
    result: str = Field(description="The s3:// URI that the result will have.")
    failure: str = Field(description="The s3:// URI that a failure document would have.")
    links: JobLinks


class PartView(BaseModel):
    """One visible object of a result; the primary one is called `result`."""

    name: str
    uri: str
    url: str = Field(description="A path of this server with the bytes.")
    media_type: str
    size_bytes: int
    sha256: str
    signed_url: str | None = Field(None, description="With ?urls=SECONDS: reads it for so long, without a key.")


class InputView(BaseModel):
    """What a job was given."""

    media_type: str
    size_bytes: int | None = None
    uri: str | None = None


class MemoryView(BaseModel):
    """What a job did to the memory of its worker's process, in bytes."""

    peak_bytes: int = Field(description="Resident at once while it ran.")
    growth_bytes: int = Field(description="More (or less) resident after it than before.")
    device_peak_bytes: int | None = Field(None, description="What torch had allocated on the device at once.")

    @classmethod
    def of(cls, memory: MemoryUse) -> MemoryView:
        """The view of a job's memory."""
        return cls(
            peak_bytes=memory.peak_bytes, growth_bytes=memory.growth_bytes, device_peak_bytes=memory.device_peak_bytes
        )


class JobView(BaseModel):
    """A job as it is now."""

    id: str
    endpoint: str
    version: str | None = None
    status: JobState
    task: str | None = None
    waits_for: str | None = Field(None, description="What an unfinished job waits for.")
    waits_until: str | None = Field(None, description="When that wait ends at the latest.")
    decide_by: str = Field(description="By then the job has its outcome, whatever happens.")
    priority: int
    attempt: int
    deaths: int = Field(description="Worker deaths charged to this job.")
    memory: MemoryView | None = Field(None, description="Once its handler has answered.")
    progress: Any = Field(None, description="What its handler last said of how far it is, while it runs.")
    door: str
    purpose: str
    submitted_at: str
    started_at: str | None = None
    ended_at: str | None = None
    timeout_seconds: float
    cancel_requested: bool = False
    retry_of: str | None = None
    stop_confirmed: bool | None = Field(
        None,
        description="Of a cancelled job: whether its processes were seen gone. False: its server was lost with them.",
    )
    superseded_by: str | None = Field(None, description="The later job whose outcome took the same chosen name.")
    attributes: dict[str, str] = {}
    input: InputView
    result: str
    failure: str
    parts: list[PartView] = []
    error: dict[str, Any] | None = Field(None, description="The failure document of a job without a result.")
    links: JobLinks

    @classmethod
    def of(cls, job: Job, wait: Wait | None = None) -> JobView:
        """The view of a job. `wait`: what it waits for, where more is known of it than the job itself tells."""
        links = JobLinks.of(job.id)
        wait = wait or wait_of(job)
        return cls(
            id=job.id,
            endpoint=job.endpoint_name,
            version=job.taken_by or job.version_id,
            status=job.state,
            task=job.task,
            waits_for=wait.what if wait else None,
            waits_until=instant(wait.until_ms) if wait else None,
            decide_by=instant(job.decide_by_ms),
            priority=job.priority,
            attempt=job.attempt,
            deaths=job.deaths,
            memory=None if job.memory is None else MemoryView.of(job.memory),
            door=job.door,
            purpose=job.purpose,
            submitted_at=instant(job.submitted_at_ms),
            started_at=maybe_instant(job.started_at_ms),
            ended_at=maybe_instant(job.ended_at_ms),
            timeout_seconds=job.invocation_timeout_ms / 1000,
            cancel_requested=job.cancel_requested,
            retry_of=job.retry_of,
            stop_confirmed=job.stop_confirmed if job.state is JobState.CANCELLED else None,
            superseded_by=job.superseded_by,
            attributes=job.shown_attributes,
            input=_input(job),
            result=job.output.result.uri,
            failure=job.output.failure.uri,
            parts=_parts(job, links),
            error=None if job.failure is None else dict(job.failure),
            links=links,
        )


class JobPage(BaseModel):
    """Jobs, newest first. `next` is the `before` of the page that follows; null at the end."""

    jobs: list[JobView]
    next: str | None = None


def _input(job: Job) -> InputView:
    inline, ref = job.input.inline, job.input.ref
    return InputView(
        media_type=job.input.media_type,
        size_bytes=None if inline is None else len(inline),
        uri=None if ref is None else ref.name.uri,
    )


def _parts(job: Job, links: JobLinks) -> list[PartView]:
    return [
        PartView(
            name=part.name,
            uri=part.object.uri,
            url=links.result if part.name == PRIMARY else f"{links.result}?part={part.name}",
            media_type=part.media_type,
            size_bytes=part.size_bytes,
            sha256=part.sha256,
        )
        for part in job.parts
    ]


# ---------------------------------------------------------------- endpoints


class StageView(BaseModel):
    """One stage of a trial."""

    stage: str
    state: str
    message: str
    started_at: str
    ended_at: str | None = None
    details: dict[str, Any] = {}

    @classmethod
    def of(cls, report: StageReport) -> StageView:
        """The view of a stage."""
        return cls(
            stage=report.stage,
            state=report.state,
            message=report.message,
            started_at=instant(report.started_at_ms),
            ended_at=maybe_instant(report.ended_at_ms),
            details=dict(report.details),
        )


class VersionView(BaseModel):
    """One deployed package of an endpoint, and its trial."""

    id: str
    number: int
    package: str = Field(description="What the package was called when it was deployed.")
    package_sha256: str
    created_at: str
    unproven: bool
    workers: int
    env: dict[str, str] = {}
    queue_ttl_seconds: int
    invocation_timeout_seconds: int
    update: str = Field(description="How it takes the place of the version before: blue_green or replace.")
    device: str | None = Field(None, description="What the package asks for: cpu or cuda; null: either will do.")
    cold_start_seconds: float | None = Field(None, description="The budget of a trial's load.")
    load_timeout_seconds: int
    load_log_patterns: list[str] = Field([], description="What the log of a trial's load must hold.")
    canary_minutes: int | None = Field(None, description="Between two canaries; null: only on demand.")
    canary_policy: str = Field(description="What a failing canary does: report or take_out.")
    stages: list[StageView] = []

    @classmethod
    def of(cls, version: EndpointVersion) -> VersionView:
        """The view of a version; secrets never show, not even their sources."""
        settings = version.settings
        return cls(
            id=version.id,
            number=version.number,
            package=version.package.source,
            package_sha256=version.package.sha256,
            created_at=instant(version.created_at_ms),
            unproven=settings.unproven,
            workers=settings.workers,
            env=dict(settings.env),
            queue_ttl_seconds=settings.queue_ttl_seconds,
            invocation_timeout_seconds=settings.invocation_timeout_seconds,
            update=settings.update,
            device=settings.device,
            cold_start_seconds=settings.cold_start_seconds,
            load_timeout_seconds=settings.load_timeout_seconds,
            load_log_patterns=list(settings.load_log_patterns),
            canary_minutes=settings.canary_minutes,
            canary_policy=settings.canary_policy,
            stages=[StageView.of(report) for report in version.stages],
        )


class WorkersView(BaseModel):
    """How many worker processes there should be, and are."""

    desired: int
    ready: int


class EndpointView(BaseModel):
    """An endpoint as it is now."""

    name: str
    status: str = Field(description="Creating, InService, Updating, RollingBack, Failed or Deleting.")
    failure_reason: str | None = None
    unproven: bool = Field(description="In service without every task having been proved by a sample.")
    stale: bool | None = Field(
        None, description="Something that the report of its trial is bound to has changed since; null: not looked yet."
    )
    stale_because: list[str] = Field([], description="What has changed.")
    created_at: str
    modified_at: str
    workers: WorkersView
    active_version: str | None = None
    target_version: str | None = Field(None, description="The version on trial.")
    marks: dict[str, Any] = {}


class CanaryRunView(BaseModel):
    """One sample that a canary ran."""

    task: str
    sample: str
    job_id: str
    state: str
    seconds: float = Field(description="From the handler's start to the end of the job.")


class CanaryView(BaseModel):
    """The canary that runs, or the last one that ended."""

    id: str
    version: str
    cause: CanaryCause = Field(description="schedule, asked, or change of what the version runs on.")
    state: CanaryState = Field(description="running, passed, failed, or skipped: it could not be run.")
    started_at: str
    ended_at: str | None = None
    message: str = ""
    changed: list[str] = Field([], description="What the version runs on otherwise than when it was proved.")
    runs: list[CanaryRunView] = []

    @classmethod
    def of(cls, canary: Canary) -> CanaryView:
        """The view of a canary."""
        return cls(
            id=canary.id,
            version=canary.version_id,
            cause=canary.cause,
            state=canary.state,
            started_at=instant(canary.started_at_ms),
            ended_at=maybe_instant(canary.ended_at_ms),
            message=canary.message,
            changed=list(canary.changed),
            runs=[CanaryRunView(**run) for run in canary.runs],
        )


class EndpointDetails(EndpointView):
    """An endpoint with its jobs' counts, its contract and its versions."""

    jobs: dict[str, int] = Field(description="Client jobs in each state.")
    contract: dict[str, Any] = Field(description="What each task takes and returns.")
    versions: list[VersionView] = Field(description="Oldest first; the last one had the last trial.")
    canary: CanaryView | None = Field(None, description="The one that runs, or the last that ended.")
    change: str = Field(description="Give it as ?since= with ?wait= to hear of the next change.")


class EndpointList(BaseModel):
    """All endpoints, by name."""

    endpoints: list[EndpointView]


def endpoint_members(endpoint: Endpoint, workers_ready: int, changed: tuple[str, ...] | None) -> dict[str, Any]:
    """The members of an EndpointView. `changed`: since the trial of its active version, as far as known."""
    return {
        "name": endpoint.name,
        "status": endpoint.status,
        "failure_reason": endpoint.failure_reason,
        "unproven": endpoint.unproven,
        "stale": None if changed is None else bool(changed),
        "stale_because": list(changed or ()),
        "created_at": instant(endpoint.created_at_ms),
        "modified_at": instant(endpoint.modified_at_ms),
        "workers": WorkersView(desired=endpoint.workers_desired, ready=workers_ready),
        "active_version": endpoint.active_version,
        "target_version": endpoint.target_version,
        "marks": dict(endpoint.marks),
    }


# ---------------------------------------------------------------- trials


class TrialView(BaseModel):
    """The trial of one version."""

    endpoint: str
    version: int
    version_id: str
    active: bool = Field(description="Whether this is the version in service.")
    state: str = Field(description="running, passed or failed.")
    unproven: bool = Field(description="Passed without every task having been proved by a sample.")
    failure_reason: str | None = None
    stale: bool | None = Field(None, description="Whether something that the report is bound to has changed since.")
    stale_because: list[str] = Field([], description="What has changed.")
    stages: list[StageView] = []
    report: dict[str, Any] | None = Field(None, description="What was signed; null: not signed yet, or not genuine.")
    envelope: dict[str, Any] | None = Field(None, description="The signed bytes: DSSE with Ed25519.")
    public_key: str = Field(description="PEM; the server's, whoever signed.")


class TrialKeyView(BaseModel):
    """The public half of the key that reports are signed with."""

    algorithm: str
    key_id: str
    public_key: str = Field(description="SubjectPublicKeyInfo in PEM.")


# ---------------------------------------------------------------- logs


class LogLineView(BaseModel):
    """One line that a worker wrote."""

    id: int | None
    at: str
    stream: str
    text: str
    job_id: str | None = None

    @classmethod
    def of(cls, line: LogLine) -> LogLineView:
        """The view of a line."""
        return cls(id=line.id, at=instant(line.at_ms), stream=line.stream, text=line.text, job_id=line.job_id)


class LogPage(BaseModel):
    """Lines, oldest first. `next` is the `after` of the page that follows; null when there was nothing more."""

    lines: list[LogLineView]
    next: int | None = None
