"""The machine's clock."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """Implements ports.clock.Clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Milliseconds that only go forward."""
        return time.monotonic_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        """Wait that long."""
        await asyncio.sleep(duration_ms / 1000)
