"""One timer for a deadline that moves with every job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `on_due` at or after the time that `due` says; None: nothing is awaited.

    Setting a timer for each of many short jobs costs more than to look again when an old one rings.
    """

    def __init__(self, due: Callable[[], float | None], on_due: Callable[[], None]) -> None:
        self._due = due
        self._on_due = on_due
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = float("inf")

    def at(self, deadline: float) -> None:
        """See to it that the alarm rings by then, by the loop's clock."""
        if deadline < self._rings_at:
            self.cancel()
            self._rings_at = deadline
            self._timer = self._loop.call_at(deadline, self._ring)

    def cancel(self) -> None:
        """It will not ring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._rings_at = float("inf")

    def _ring(self) -> None:
        self.cancel()
        due = self._due()
        if due is None:
            return
        if due <= self._loop.time():
            self._on_due()
        else:
            self.at(due)
