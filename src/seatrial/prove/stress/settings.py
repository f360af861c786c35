"""How hard to press, within bounds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from seatrial.prove.limits import (
    STRESS_AT_ONCE_MAX,
    STRESS_CALLBACK_SECONDS_DEFAULT,
    STRESS_GAP_SECONDS_MAX,
    STRESS_JOBS_MAX,
    STRESS_RATE_MAX,
    STRESS_ROUNDS_MAX,
    STRESS_SOAK_SECONDS_MAX,
)


class ScenarioName(StrEnum):
    """What is done to the target."""

    CONCURRENT = "concurrent"  # many at once
    SEQUENTIAL = "sequential"  # one right after the other, each another variant
    INTERFERENCE = "interference"  # an exclusive task among them
    SOAK = "soak"  # at a rate, for a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`concurrent` requests at once, `sequential` in a row, each `rounds` times; `rate` a second for `soak_seconds`.

    `patience_seconds`: that an answer is waited for; None: as the task says.
    """

    scenarios: tuple[ScenarioName, ...] = tuple(ScenarioName)
    concurrent: int = 10
    sequential: int = 10
    rounds: int = 3
    gap_seconds: float = 0.02
    rate: float = 2.0
    soak_seconds: float = 30.0
    baseline_repeats: int = 2
    patience_seconds: float | None = None
    callback_seconds: float = STRESS_CALLBACK_SECONDS_DEFAULT
    seed: int = 1  # of the order of requests

    def __post_init__(self) -> None:
        """Raises ValueError: out of range, naming the setting."""
        bounds = {
            "concurrent": (2, STRESS_AT_ONCE_MAX),
            "sequential": (2, STRESS_JOBS_MAX),
            "rounds": (1, STRESS_ROUNDS_MAX),
            "gap_seconds": (0, STRESS_GAP_SECONDS_MAX),
            "rate": (0.01, STRESS_RATE_MAX),
            "soak_seconds": (1, STRESS_SOAK_SECONDS_MAX),
            "baseline_repeats": (2, 20),
        }
        for name, (least, most) in bounds.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name}: from {least:g} to {most:,g}")
        if self.patience_seconds is not None and self.patience_seconds <= 0:
            raise ValueError("patience_seconds: more than 0")
        jobs = sum(self.jobs_of(scenario) for scenario in self.scenarios)
        if jobs > STRESS_JOBS_MAX:
            raise ValueError(f"this would send {jobs:,} requests: at most {STRESS_JOBS_MAX:,} (rounds, rate, seconds)")

    def jobs_of(self, scenario: ScenarioName) -> int:
        """How many requests a scenario sends."""
        if scenario is ScenarioName.CONCURRENT:
            return self.concurrent * self.rounds
        if scenario is ScenarioName.SEQUENTIAL:
            return self.sequential * self.rounds
        if scenario is ScenarioName.INTERFERENCE:
            return (self.concurrent + 1) * self.rounds
        return int(self.rate * self.soak_seconds)
