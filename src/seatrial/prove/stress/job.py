"""One request of a stress run, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from seatrial.prove.stress.settings import ScenarioName
from seatrial.prove.stress.variants import Variant
from seatrial.prove.targets.answer import State
from seatrial.prove.targets.target import Ticket


class Kind(StrEnum):
    """What is wrong with a job."""

    LOST = "lost"  # accepted, and no end in time; or the server knows it no more
    REFUSED = "refused"  # never accepted
    FAILED = "failed"  # ended without a result
    EMPTY = "empty"  # succeeded, and there is nothing
    PARTIAL = "partial"  # damaged, cut off, or only the beginning of what it was alone
    INVALID = "invalid"  # whole, and not what the contract says
    CROSSED = "crossed"  # what another request gives alone
    DUPLICATED = "duplicated"  # told twice, or one result given to two jobs
    DIFFERS = "differs"  # neither what this request gives alone nor what another one does
    UNTOLD = "untold"  # no callback came, or one that says something else


# Kinds about what came; with the others there is no output at all.
OUTPUT_KINDS = frozenset({Kind.PARTIAL, Kind.INVALID, Kind.CROSSED, Kind.DUPLICATED, Kind.DIFFERS})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, in words. `by_output`: it was seen in the output, not in a callback or an id."""

    kind: Kind
    reason: str
    by_output: bool = True


@dataclass(slots=True)
class Job:
    """`number` counts from 1 over the whole run. Times are monotonic seconds."""

    number: int
    scenario: ScenarioName
    variant: Variant
    exclusive: bool = False
    ticket: Ticket | None = None
    state: State = State.PENDING
    seconds: float = 0.0
    busy: int = 0  # how often it was refused as too many, and sent again
    has_output: bool = False
    has_image: bool = False
    digests: frozenset[str] = frozenset()  # SHA-256 of each object of its output
    given_up: bool = False  # by us: the run was interrupted
    problems: list[Problem] = field(default_factory=list)
    saved: str | None = None  # where its output lies

    @property
    def name(self) -> str:
        """Such as job_003."""
        return f"job_{self.number:03}"

    @property
    def is_completed(self) -> bool:
        """It ended well, as far as the server says."""
        return self.state is State.SUCCEEDED

    @property
    def is_valid(self) -> bool:
        """It has an output, and nothing is wrong with that."""
        return self.has_output and not any(one.kind in OUTPUT_KINDS and one.by_output for one in self.problems)

    def told(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "job": self.name,
            "scenario": self.scenario.value,
            "variant": self.variant.name,
            "exclusive": self.exclusive,
            "id": self.ticket.id if self.ticket else None,
            "state": self.state.value,
            "seconds": round(self.seconds, 3),
            "sent_again": self.busy,
            "valid": self.is_valid,
            "saved": self.saved,
            "problems": [{"kind": one.kind.value, "reason": one.reason} for one in self.problems],
        }
