"""What is counted and measured, for those who watch a server from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from seatrial.domain.canary import Canary
from seatrial.domain.jobs import Job


@dataclass(frozen=True, slots=True)
class EndpointFigures:
    """An endpoint as it is now. `jobs` counts those of clients by state."""

    name: str
    status: str
    workers_ready: int
    workers_desired: int
    jobs: Mapping[str, int]


class Meters(Protocol):
    """Counters begin at zero with the server, as is usual; safe to call from the event loop, which they never block."""

    def job_ended(self, job: Job) -> None:
        """A client's job has ended here."""
        ...

    def canary_ended(self, endpoint_name: str, canary: Canary) -> None:
        """A canary has ended here."""
        ...

    def exposition(
        self, endpoints: Sequence[EndpointFigures], within: frozenset[str] | None = None
    ) -> tuple[bytes, str]:
        """Everything, in the text format that Prometheus reads, and its media type; counters only of the endpoints
        `within`."""
        ...
