"""The life of a job: its states, the only legal moves between them, and its views.

One screen holds the whole lifecycle. Terminal states never change; a retry is a new job that
names the old one in `retry_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from seatrial.domain.delivery import Target
from seatrial.domain.limits import PRIORITY_AGE_SECONDS
from seatrial.domain.memory import MemoryUse
from seatrial.domain.objects import ObjectName, ObjectRef
from seatrial.domain.triggers import Trigger

HIDDEN_PREFIX = "hidden_"  # of attributes that only the job's worker sees: they may hold credentials


def shown(attributes: Mapping[str, str]) -> dict[str, str]:
    """Those that people, logs and receivers may see."""
    return {name: value for name, value in attributes.items() if not name.startswith(HIDDEN_PREFIX)}


class JobState(StrEnum):
    """What a job is."""

    AWAITING_UPLOAD = "awaiting_upload"  # accepted; the object that is its input is still to come
    QUEUED = "queued"
    RUNNING = "running"
    PUBLISHING = "publishing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobEvent(StrEnum):
    """What happened to a job."""

    ARRIVED = "arrived"  # its input has come
    TAKEN = "taken"  # a session received it as a claim
    RELEASED = "released"  # handed back, or its attempt ended without a decision
    DECIDED = "decided"  # the one outcome is committed, its parts are staged
    PUBLISHED = "published"  # the result is visible
    FAILED = "failed"  # decided as a failure, the failure object visible
    CANCELLED = "cancelled"  # decided as cancelled, the failure object visible


# Where names and jobs are rows of one database, an ending is one transaction and `publishing` is never seen.
# Where objects live elsewhere, the decision is committed first, and the ending once everything is visible.
TRANSITIONS: Mapping[tuple[JobState, JobEvent], JobState] = {
    (JobState.AWAITING_UPLOAD, JobEvent.ARRIVED): JobState.QUEUED,
    (JobState.AWAITING_UPLOAD, JobEvent.DECIDED): JobState.PUBLISHING,
    (JobState.AWAITING_UPLOAD, JobEvent.FAILED): JobState.FAILED,
    (JobState.AWAITING_UPLOAD, JobEvent.CANCELLED): JobState.CANCELLED,
    (JobState.QUEUED, JobEvent.TAKEN): JobState.RUNNING,
    (JobState.QUEUED, JobEvent.DECIDED): JobState.PUBLISHING,
    (JobState.QUEUED, JobEvent.FAILED): JobState.FAILED,
    (JobState.QUEUED, JobEvent.CANCELLED): JobState.CANCELLED,
    (JobState.RUNNING, JobEvent.RELEASED): JobState.QUEUED,
    (JobState.RUNNING, JobEvent.DECIDED): JobState.PUBLISHING,
    (JobState.RUNNING, JobEvent.FAILED): JobState.FAILED,
    (JobState.RUNNING, JobEvent.CANCELLED): JobState.CANCELLED,
    (JobState.PUBLISHING, JobEvent.PUBLISHED): JobState.SUCCEEDED,
    (JobState.PUBLISHING, JobEvent.FAILED): JobState.FAILED,
    (JobState.PUBLISHING, JobEvent.CANCELLED): JobState.CANCELLED,
}

TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


class IllegalTransition(Exception):
    """An event that the job's state does not allow."""


def after(state: JobState, event: JobEvent) -> JobState:
    """The state that follows, from the table above.

    Raises:
        IllegalTransition: the table has no such move.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a {state} job cannot be {event}") from None


class JobPurpose(StrEnum):
    """Whom a job serves: a client, or the proof of a version."""

    CLIENT = "client"
    TRIAL = "trial"


@dataclass(frozen=True, slots=True)
class JobInput:
    """What a job was given: bytes kept in the job's row, or a pinned object. Exactly one is set.

    An object without an ETag is still to come, or never came.
    """

    media_type: str
    inline: bytes | None = None
    ref: ObjectRef | None = None

    @property
    def has_come(self) -> bool:
        """Whether there is anything that a handler could be given."""
        return self.ref is None or bool(self.ref.etag)


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """Where a job's outcome will be visible. Both names are fixed at submission.

    A secondary part `p` becomes visible at `result.key` without its extension + `-p` + its own extension.
    """

    result: ObjectName
    failure: ObjectName


def rank_ms(submitted_at_ms: int, priority: int) -> int:
    """Where a job stands in its queue, the lowest first, however long it has waited.

    Each level of priority is worth PRIORITY_AGE_SECONDS of waiting: a job is passed only by those of a higher
    priority that came at most so many seconds per level after it, so none waits for ever.
    """
    return submitted_at_ms + priority * PRIORITY_AGE_SECONDS * 1000


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job about to be accepted. Times are milliseconds since the epoch; durations are in milliseconds."""

    id: str
    owner: str
    endpoint_id: str
    endpoint_name: str
    input: JobInput
    output: OutputPlan
    submitted_at_ms: int
    queue_ttl_ms: int
    invocation_timeout_ms: int
    decide_by_ms: int
    door: str
    task: str | None = None
    accept: str = "*/*"
    priority: int = 5
    affinity: str | None = None
    exclusive: bool = False  # runs alone on its device
    device_group: str | None = None  # whose jobs share a device with it; None: there are no exclusive ones among them
    purpose: JobPurpose = JobPurpose.CLIENT
    version_id: str | None = None  # set: only this version may run it (trials)
    attributes: Mapping[str, str] = field(default_factory=dict)  # the door's own words: inference_id, custom_attributes
    retry_of: str | None = None
    name_chosen: bool = False  # by the client: an earlier job's outcome may lie there, and is then superseded
    notify: tuple[Target, ...] = ()
    upload: Trigger | None = None  # its input is still to come: what the object's arrival sets off
    upload_by_ms: int | None = None  # and until when

    @property
    def shown_attributes(self) -> dict[str, str]:
        """The attributes that people, logs and receivers may see."""
        return shown(self.attributes)


@dataclass(frozen=True, slots=True)
class Part:
    """One visible object of a result."""

    name: str  # "result" for the primary
    object: ObjectName
    size_bytes: int
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job as readers see it. Times are milliseconds since the epoch."""

    id: str
    owner: str
    endpoint_id: str
    endpoint_name: str
    version_id: str | None
    purpose: JobPurpose
    door: str
    task: str | None
    state: JobState
    priority: int
    attempt: int
    deaths: int
    input: JobInput
    output: OutputPlan
    accept: str
    attributes: Mapping[str, str]
    submitted_at_ms: int
    queue_deadline_ms: int
    invocation_timeout_ms: int
    decide_by_ms: int
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    cancel_requested: bool = False
    stop_confirmed: bool = True  # False: a lease lapsed under it, so a process that nobody sees may still execute it
    parts: tuple[Part, ...] = ()
    taken_by: str | None = None  # the version that took it last
    failure: Mapping[str, Any] | None = None  # the failure document, see domain/failures.py
    retry_of: str | None = None
    publish_by_ms: int | None = None  # of a decided job: when its publication is given up
    memory: MemoryUse | None = None  # what its last attempt with an answer did to its worker's
    suspect: bool = False  # it was in a worker that died with several jobs: it runs alone until it is known which
    superseded_by: str | None = None  # the later job whose outcome took the same chosen name
    notify: tuple[Target, ...] = ()
    affinity: str | None = None
    exclusive: bool = False
    upload_by_ms: int | None = None  # while its input is awaited: until when

    @property
    def shown_attributes(self) -> dict[str, str]:
        """The attributes that people, logs and receivers may see."""
        return shown(self.attributes)

    @property
    def ended(self) -> bool:
        """True when the job has its one outcome and it is visible."""
        return self.state in TERMINAL


@dataclass(frozen=True, slots=True)
class Backlog:
    """Client jobs of an endpoint that wait or run; when the oldest was submitted (milliseconds since the epoch)."""

    queued: int = 0
    running: int = 0
    oldest_ms: int | None = None

    @property
    def size(self) -> int:
        """All of them."""
        return self.queued + self.running


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a listing shows. `before` is the id of the last job of the page before."""

    endpoint_name: str | None = None
    states: frozenset[JobState] = frozenset()
    purpose: JobPurpose | None = JobPurpose.CLIENT
    task: str | None = None
    before: str | None = None
    limit: int = 50
    within: frozenset[str] | None = None  # only of these endpoints
