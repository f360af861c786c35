"""What can be asked of the job store, and what it answers: plain serialisable data.

Each command may be repeated after an unknown commit result: the second time it answers with what the first
one did. Times are milliseconds since the epoch. A token is 32 hexadecimal characters from a random source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from seatrial.domain.failures import Failure
from seatrial.domain.jobs import Job, JobInput, JobState, NewJob
from seatrial.domain.limits import ATTEMPTS_MAX, WORKER_DEATHS_MAX
from seatrial.domain.memory import MemoryUse
from seatrial.domain.objects import ObjectName, Sealed

# ---------------------------------------------------------------- submission


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """(owner, endpoint, door, key) gives the same job; the fingerprint (SHA-256 hex) covers the parsed request.

    It does so from the acceptance of its job until `life_ms` after that job's end.
    """

    owner: str
    endpoint_id: str
    door: str
    key: str
    fingerprint: str
    life_ms: int


@dataclass(frozen=True, slots=True)
class Submit:
    """Accept a job. The queue's depth counts the endpoint's queued and running client jobs.

    For one whose input is still to come, it counts those that wait for theirs.
    """

    job: NewJob
    queue_depth_max: int
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job is durable. `existing` when the idempotency key had made it before; then `job` is that one."""

    job_id: str
    existing: bool = False
    job: Job | None = None  # set when existing


@dataclass(frozen=True, slots=True)
class KeyConflict:
    """The idempotency key belongs to a different request, which made `job_id`."""

    job_id: str


@dataclass(frozen=True, slots=True)
class QueueFull:
    """The endpoint's queue has reached its limit."""

    depth: int
    limit: int


@dataclass(frozen=True, slots=True)
class NameTaken:
    """A chosen output name is reserved by a job that has not ended."""

    name: ObjectName
    job_id: str


@dataclass(frozen=True, slots=True)
class EndpointGone:
    """The endpoint no longer takes jobs."""


@dataclass(frozen=True, slots=True)
class Arrive:
    """The object that a job waits for has come: queue the job with this input, from now on for `queue_ttl_ms`.

    With a `failure` the object is not what was asked for, and the job ends. One that waits no more is left alone.
    """

    job_id: str
    now_ms: int
    input: JobInput
    queue_ttl_ms: int
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """The job as it now is; `moved` False: it had been queued, or had ended, before."""

    job: Job
    moved: bool = True


# ---------------------------------------------------------------- sessions and claims


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A worker of a version opens a connection to work. `server` is the incarnation that holds it."""

    session: str
    endpoint_id: str
    version_id: str
    kind: str
    server: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The session is there."""


@dataclass(frozen=True, slots=True)
class Take:
    """Claim up to len(tokens) queued jobs for a session, in the order of their rank (see `rank_ms`).

    A session gets jobs of its endpoint that name its version, or name none while its version is active. Those of an
    affinity that it holds (`prefer`) count as AFFINITY_HEAD_START_MS older; those that an idle session holds
    (`elsewhere`) are left to it until AFFINITY_WAIT_MS after their submission. At most so many client jobs of the
    endpoint, and of each owner over all endpoints, run at once. An exclusive job runs alone in its device group.
    """

    session: str
    tokens: tuple[str, ...]
    now_ms: int
    prefer: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    endpoint_running_max: int | None = None
    owner_running_max: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt handed to one session; `token` is the fence that proves it. `job.state` is running."""

    job: Job
    attempt: int
    token: str
    time_left_ms: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What a Take got, at most as many as it offered tokens.

    `held_back`: others wait that a limit or an exclusive job keeps from it for now, or may do so.
    """

    claims: tuple[Claim, ...]
    held_back: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class SessionGone:
    """The session was closed, or never was."""


class Outcome(StrEnum):
    """The one outcome of a job that a finish can bring."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class StagedPart:
    """A write-once part waiting to become visible under `object`."""

    name: str
    object: ObjectName
    sealed: Sealed
    media_type: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Commit the decision of a job. With SUCCEEDED, `parts` (primary last); otherwise `failure`.

    Where names are rows, the names, the terminal state and the outbox rows are this one transaction, and a missing
    output bucket turns a success into a failure `publish_failed`. Elsewhere the job is `publishing` afterwards.
    `started_at_ms` is when the handler began; `task` the one that the input asked for, where that is known only now.
    """

    token: str
    outcome: Outcome
    now_ms: int
    parts: tuple[StagedPart, ...] = ()
    failure: Failure | None = None
    started_at_ms: int | None = None
    memory: MemoryUse | None = None
    task: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """Accepted; the job as it now is, ended or publishing. `repeated`: this very token had finished it before.

    `superseded` are earlier jobs whose outcome lay under the same chosen name.
    """

    job: Job
    repeated: bool = False
    superseded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stale:
    """The token proves nothing (any more): another attempt, a cancel or a deadline was first."""


@dataclass(frozen=True, slots=True)
class Release:
    """Hand claims back that had not begun: they are queued again where they stood, at no cost."""

    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Released:
    """How many claims went back to the queue."""

    count: int


@dataclass(frozen=True, slots=True)
class CloseSession:
    """The session's worker is gone, every descendant seen gone (or its server was killed).

    Claims go back to the queue. Where `death` is set, the worker died by itself: a job in `begun` that was
    alone in its process is charged one death, and at `deaths_max` fails with it; of several nobody is charged, and
    each of them is a suspect from then on, which runs alone. Charged or not,
    whose `attempts_max` attempts all ended so fails as attempts_exhausted. Without `death`, nobody is charged.
    """

    session: str
    now_ms: int
    begun: tuple[str, ...] = ()
    death: Failure | None = None
    deaths_max: int = WORKER_DEATHS_MAX
    attempts_max: int = ATTEMPTS_MAX
    presumed: bool = False  # the worker was not seen gone: it may still execute what it held


@dataclass(frozen=True, slots=True)
class Closed:
    """Jobs that went back to the queue, and jobs that this death ended (or decided)."""

    requeued: tuple[str, ...]
    ended: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class CloseServerSessions:
    """Close the sessions of earlier servers: their processes have been seen gone.

    Those are the servers of the same `home` (the data folder, which one server owns at a time). Without one the
    store itself has only one owner, and every other server is an earlier one.
    """

    server: str
    now_ms: int
    home: str | None = None


# ---------------------------------------------------------------- servers that share a store


@dataclass(frozen=True, slots=True)
class Beat:
    """The server lives: its lease begins anew, by the store's own clock."""

    server: str
    home: str


@dataclass(frozen=True, slots=True)
class Beaten:
    """How long ago its last beat was, by the store's clock; None: there is none any more."""

    since_last_ms: int | None


@dataclass(frozen=True, slots=True)
class CloseLapsed:
    """Close the sessions of every other server that has not beaten within `lease_ms`, by the store's clock.

    What they held goes back to the queue as a new attempt, so the tokens that they still have prove nothing.
    """

    server: str
    lease_ms: int
    now_ms: int


# ---------------------------------------------------------------- publication (where names are not rows)


@dataclass(frozen=True, slots=True)
class Publication:
    """A committed decision whose outcome is not visible yet: `parts` (primary last) or the failure document.

    Both, where the result was given up: then the parts are withdrawn before the failure is shown.
    """

    job: Job  # publishing; `publish_by_ms` is set
    outcome: Outcome
    parts: tuple[StagedPart, ...] = ()
    failure: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """Everything of a decision is visible: commit the terminal state, and with it the outbox rows.

    `outcome` is that of the decision which was published; another one by now makes this stale. `not_published`
    says why a failure object could not be shown; the document in the job's row then tells it.
    """

    job_id: str
    outcome: Outcome
    now_ms: int
    not_published: str | None = None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The result could not be made visible in time: the decision becomes this failure, to be published instead."""

    job_id: str
    failure: Failure
    now_ms: int


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The publication as it now is: the parts that are to be withdrawn, and the failure to be shown."""

    publication: Publication


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """No part of the job's given-up result shows any more, or can: nothing is left to be done for it."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Noted:
    """It is written down."""


# ---------------------------------------------------------------- cancel and deadlines


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel a job. A queued one ends at once; of a running one the wish is noted and its holder told."""

    job_id: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class CancelAccepted:
    """Ended or decided (cancelled or publishing), or noted (running: `session` and `token` name the holder)."""

    job: Job
    session: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The job already has its outcome."""

    state: JobState


@dataclass(frozen=True, slots=True)
class NoSuchJob:
    """There is no job of that id."""


@dataclass(frozen=True, slots=True)
class Expire:
    """Fail up to `limit` queued jobs whose queue TTL or decide_by has passed, and those whose upload is overdue."""

    now_ms: int
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Expired:
    """The jobs that ended, or were decided."""

    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class FailQueued:
    """Fail up to `limit` queued jobs of an endpoint (it was deleted or left service), or of one version of it."""

    endpoint_id: str
    failure: Failure
    now_ms: int
    version_id: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class CancelQueued:
    """Cancel up to `limit` queued jobs of an endpoint's clients; those of a trial stay."""

    endpoint_id: str
    now_ms: int
    limit: int = 100


# ---------------------------------------------------------------- retention


@dataclass(frozen=True, slots=True)
class ForgetKeys:
    """Remove up to `limit` idempotency keys whose job ended at or before `ended_until_ms`, or is gone itself."""

    ended_until_ms: int
    limit: int


@dataclass(frozen=True, slots=True)
class ForgetJobs:
    """Remove those of the jobs that ended at or before `ended_until_ms` and have nothing left to be told."""

    job_ids: tuple[str, ...]
    ended_until_ms: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many were removed."""

    count: int


JobCommand = (
    Submit
    | Arrive
    | OpenSession
    | Take
    | Finish
    | Release
    | CloseSession
    | CloseServerSessions
    | Published
    | GiveUp
    | Withdrawn
    | Beat
    | CloseLapsed
    | Cancel
    | Expire
    | FailQueued
    | CancelQueued
    | ForgetKeys
    | ForgetJobs
)
JobOutcome = (
    Submitted
    | KeyConflict
    | QueueFull
    | NameTaken
    | EndpointGone
    | Arrived
    | Opened
    | Taken
    | SessionGone
    | Finished
    | Stale
    | Released
    | Closed
    | GivenUp
    | Noted
    | Beaten
    | CancelAccepted
    | CancelRefused
    | NoSuchJob
    | Expired
    | Forgotten
)
