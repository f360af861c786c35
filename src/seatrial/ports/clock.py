"""Time, as the engine sees it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Wall time is for display, TTL admission and signatures; nothing that must be safe reads it."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds that only go forward, from an arbitrary origin."""
        ...

    async def sleep_ms(self, duration_ms: int) -> None:
        """Wait that long."""
        ...
