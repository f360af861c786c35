"""A live deployment as a stranger sees it: what can be asked of every wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from seatrial.prove.contract import Contract
from seatrial.prove.request import Request
from seatrial.prove.targets.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the server says of the deployment. `since`: seconds since the epoch of its last change, if it is told."""

    name: str
    status: str  # the server's own word
    in_service: bool
    reason: str = ""  # why not, in the server's words
    unproven: bool = False  # in service, and the server says that not every task was shown to work
    since: float | None = None
    created: float | None = None
    starting: bool = False  # not in service yet, and on its way there
    workers_ready: int | None = None  # None: it is not told
    workers_wanted: int | None = None
    load: tuple[bool, str] | None = None  # whether the model loaded, in the server's words, where it tells that itself
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the health question was answered well, and how."""

    well: bool
    words: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the deployment's log; `at` in seconds since the epoch."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What is registered for scaling one variant (or the whole) of a deployment."""

    resource: str
    minimum: int
    maximum: int
    policies: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A request under way. `created` are names of inputs that were stored for it. Times are monotonic seconds."""

    id: str
    submitted_at: float
    request: Request
    created: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed, and what could not be, with the reason."""

    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    reason: str = ""


class Target(Protocol):
    """Every operation blocks, may be called from several threads, and raises what `trouble.py` names.

    What a wire lacks raises NotOffered with the reason: never a guess.
    """

    wire: str  # seatrial, sagemaker, runpod, studio, cog
    name: str
    url: str  # of the server; empty: the client library knows it

    def describe(self) -> Description:
        """What the server says of the deployment; Unknown when there is none of that name."""
        ...

    def health(self) -> Health:
        """The wire's own health question."""
        ...

    def contract(self) -> Contract | None:
        """Tasks and samples, where the deployment itself tells them; None: it has none to tell."""
        ...

    def calls_back(self, request: Request) -> bool:
        """Whether the request's `webhook` would be told of its end."""
        ...

    def submit(self, request: Request) -> Ticket:
        """Send a request. Refused when it is turned down at once; an accepted one may still fail."""
        ...

    def wait(self, ticket: Ticket, seconds: float) -> Answer:
        """The end of a request, or `pending` when it has not ended in time."""
        ...

    def cancel(self, ticket: Ticket) -> None:
        """Ask for a request's end."""
        ...

    def status(self, job_id: str) -> str:
        """The server's own word for a job; Unknown when it has none of that id."""
        ...

    def logs(self, since: float, until: float | None = None) -> Sequence[LogLine]:
        """Lines of the log, oldest first; both times in seconds since the epoch."""
        ...

    def failures(self) -> frozenset[str]:
        """Names of what lies in the failure location (jobs, where a wire has no such place)."""
        ...

    def failure_of(self, ticket: Ticket) -> str:
        """The name that this request's failure would have there."""
        ...

    def scaling(self) -> Sequence[Scaling]:
        """What is registered for automatic scaling."""
        ...

    def needs(self) -> Sequence[str]:
        """The permissions that verifying takes."""
        ...

    def clean(self, tickets: Sequence[Ticket]) -> Cleaned:
        """Remove the inputs (and the outcomes) of these requests."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
