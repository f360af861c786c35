"""The only way in which any worker (pipe, Ray, RunPod, Lambda) gets and returns work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from seatrial.domain.commands import Claim, Finish, Finished, Stale
from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.failures import Failure


class WorkSource(Protocol):
    """Sessions take claims, and finish or release each of them. The token proves a claim; nothing else does."""

    async def open(self, version: EndpointVersion, kind: str) -> str:
        """Open a session for a worker of that version; its id.

        Raises:
            SessionClosed: there is no such version any more.
        """
        ...

    async def take(self, session: str, n: int, wait_ms: int, prefer: frozenset[str] = frozenset()) -> list[Claim]:
        """Up to n claims, waiting up to wait_ms for the first. Empty when none came; a draining source only waits.

        Raises:
            SessionClosed: the session is gone.
        """
        ...

    def cease(self, session: str) -> None:
        """A take of that session that still waits comes back empty, with the next thing that happens."""
        ...

    async def finish(self, done: Sequence[Finish]) -> list[Finished | Stale]:
        """Commit decisions; each answer is durable. A stale token publishes nothing."""
        ...

    async def release(self, tokens: Sequence[str]) -> None:
        """Hand back claims that had not begun: costs no attempt."""
        ...

    async def close(
        self, session: str, begun: Sequence[str] = (), death: Failure | None = None, *, presumed: bool = False
    ) -> None:
        """The worker was seen gone; its claims go back or, after too many deaths, end as worker_crashed.

        `presumed`: it was not seen gone, only given up.
        """
        ...


class SessionClosed(Exception):
    """The session was closed: open a new one."""
