"""What the settings of a server allow every job."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.domain.limits import ATTEMPTS_MAX, IDEMPOTENCY_DAYS, WORKER_DEATHS_MAX

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """`deaths_max` are worker deaths charged to one job, `attempts_max` all those that ended with their worker's.

    At most `owner_concurrency_max` jobs of one owner run at once. A key lives `key_life_ms` longer than its job.
    """

    deaths_max: int = WORKER_DEATHS_MAX
    attempts_max: int = ATTEMPTS_MAX
    key_life_ms: int = IDEMPOTENCY_DAYS * DAY_MS
    owner_concurrency_max: int | None = None
