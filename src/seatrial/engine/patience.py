"""What a job in a worker's hands does while a store is away: it tries again, until its deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from seatrial.domain.errors import DEADLINE_EXCEEDED, SeatrialError
from seatrial.domain.limits import STORE_RETRY_MS
from seatrial.ports.clock import Clock
from seatrial.ports.storage import StoreUnavailable, as_unavailable

log = structlog.get_logger()

T = TypeVar("T")


class Patience:
    """The time that one attempt has left, and what it does with it."""

    def __init__(self, clock: Clock, job_id: str, time_left_ms: int) -> None:
        self._clock = clock
        self._job_id = job_id
        self._until_ms = clock.monotonic_ms() + time_left_ms
        self._trouble: StoreUnavailable | None = None

    async def within(self, step: Callable[[], Awaitable[T]], doing: str) -> T:
        """What the step answers; it is ended at the deadline. `doing` completes "the deadline passed while …".

        Raises:
            SeatrialError: deadline_exceeded, and whatever else the step raises.
        """
        deadline = asyncio.timeout(self._left_ms() / 1000)
        try:
            async with deadline:
                return await self.insist(step, doing)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise self._too_late(doing) from self._trouble

    async def insist(self, step: Callable[[], Awaitable[T]], doing: str) -> T:
        """The same for a step that ends by itself: it is not begun again after the deadline."""
        while True:
            try:
                return await step()
            except (StoreUnavailable, OSError) as error:
                self._trouble = as_unavailable(error)
                if self._trouble is None:
                    raise
            log.warning("job.store_unavailable", job=self._job_id, while_=doing, error=str(self._trouble))
            if self._left_ms() <= 0:
                raise self._too_late(doing) from self._trouble
            await self._clock.sleep_ms(STORE_RETRY_MS)

    def _left_ms(self) -> int:
        return max(0, self._until_ms - self._clock.monotonic_ms())

    def _too_late(self, doing: str) -> SeatrialError:
        details = {"cause": str(self._trouble)} if self._trouble else None
        return SeatrialError(DEADLINE_EXCEEDED, f"The job's deadline passed while {doing}.", details=details)
