"""How far ahead a worker is handed work."""

from __future__ import annotations

from seatrial.domain.limits import PREFETCH_HORIZON_MS, PREFETCH_JOBS_MAX

SMOOTHING = 0.2  # weight of the newest job in the mean run time


class Ahead:
    """Trust in a worker's jobs being short: grows with each short one, and goes with the first long one.

    What is held behind a long job waits although other workers may be free.
    """

    def __init__(self) -> None:
        self._mean_ms: float | None = None
        self._short_in_a_row = 0

    def limit(self) -> int:
        """How many claims to hold: what the worker will have done within the horizon, and at least one."""
        if self._mean_ms is None:
            return 1
        within_horizon = int(PREFETCH_HORIZON_MS / max(self._mean_ms, 0.01))
        return max(1, min(PREFETCH_JOBS_MAX, within_horizon, self._short_in_a_row))

    def ran(self, handler_ms: float) -> None:
        """A job has ended."""
        mean = self._mean_ms
        self._mean_ms = handler_ms if mean is None else mean + SMOOTHING * (handler_ms - mean)
        self._short_in_a_row = self._short_in_a_row + 1 if handler_ms <= PREFETCH_HORIZON_MS else 0

    def distrust(self) -> None:
        """A job turned out long."""
        self._short_in_a_row = 0
