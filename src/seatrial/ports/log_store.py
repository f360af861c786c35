"""Where log lines live: bounded, best effort, never in the way of a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from seatrial.domain.logs import LogFilter, LogLine, LogStream


class LogStore(Protocol):
    """Lines of workers, and of the server about an endpoint."""

    def append(self, lines: Sequence[LogLine]) -> None:
        """Keep lines; returns at once, they are readable within a fraction of a second."""
        ...

    async def settled(self) -> None:
        """Until what was appended before is readable, or lost; a second at most."""
        ...

    async def lines(self, which: LogFilter) -> list[LogLine]:
        """Lines that match, oldest first."""
        ...

    async def streams(self, group: str) -> list[LogStream]:
        """The streams of a group; empty when there is none."""
        ...

    async def groups(self) -> list[str]:
        """All groups, by name."""
        ...
