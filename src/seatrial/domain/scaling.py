"""How many workers an endpoint should have: limits, target tracking, step adjustments and cooldowns.

Sources: Application Auto Scaling's user guide, "How target tracking scaling works" and "How step scaling works"; the
stabilisation of scaling in is that of Kubernetes' horizontal autoscaler (the highest wish of the last while holds).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from seatrial.domain.limits import SCALING_BACKLOG_DEFAULT, SCALING_COOLDOWN_SECONDS_DEFAULT

BACKLOG = "ApproximateBacklogSize"
BACKLOG_PER_INSTANCE = "ApproximateBacklogSizePerInstance"
NO_CAPACITY = "HasBacklogWithoutCapacity"
OWN_POLICY = "seatrial"  # the name of the policy that settings of our own make


class Adjustment(StrEnum):
    """What the number of a step means; the words are AWS's."""

    CHANGE = "ChangeInCapacity"
    PERCENT = "PercentChangeInCapacity"
    EXACT = "ExactCapacity"


@dataclass(frozen=True, slots=True)
class Tracking:
    """Keep a metric at `target`: for a backlog, the jobs (queued and running) that one worker is meant to have.

    Scaling in waits until less was wanted for `scale_in_seconds` on end; scaling out begins at once, and is not
    repeated within `scale_out_seconds` unless more is wanted than before.
    """

    metric: str
    target: float
    scale_in_seconds: int
    scale_out_seconds: int
    scale_in: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """By how much, while the metric is `lower` to below `upper` above its alarm's threshold (None: no bound)."""

    lower: float | None
    upper: float | None
    by: int

    def holds(self, beyond: float) -> bool:
        """Whether it is meant for a metric so far above (negative: below) the threshold.

        The bound nearer to the threshold is inside, as at AWS: the lower one above it, the upper one below it.
        """
        if beyond >= 0:
            return (self.lower is None or beyond >= self.lower) and (self.upper is None or beyond < self.upper)
        return (self.lower is None or beyond > self.lower) and (self.upper is None or beyond <= self.upper)


@dataclass(frozen=True, slots=True)
class Stepping:
    """Adjust when an alarm says so. `least` is the smallest change of a percentage; `aggregation` is told again only:
    a metric has one value when its alarm decides."""

    adjustment: Adjustment
    steps: tuple[Step, ...]
    cooldown_seconds: int
    least: int = 1
    aggregation: str = "Average"

    def wanted(self, capacity: int, beyond: float) -> int | None:
        """The capacity that it leads to; None: no step is meant for that value."""
        step = next((one for one in self.steps if one.holds(beyond)), None)
        if step is None:
            return None
        if self.adjustment is Adjustment.EXACT:
            return max(0, step.by)
        change = step.by if self.adjustment is Adjustment.CHANGE else _percent(capacity, step.by, self.least)
        return max(0, capacity + change)


def _percent(capacity: int, percent: int, least: int) -> int:
    """Towards zero, but at least one, and at least `least`: as AWS rounds."""
    if percent == 0:
        return 0
    change = capacity * percent / 100
    size = max(math.floor(abs(change)), 1, least)
    return int(math.copysign(size, percent))


@dataclass(frozen=True, slots=True)
class Policy:
    """A rule under a name. `id` tells it from an earlier one of that name."""

    name: str
    id: str
    created_at_ms: int
    rule: Tracking | Stepping


@dataclass(frozen=True, slots=True)
class Plan:
    """How an endpoint's workers are scaled: within limits, by policies. `paused_…`: that direction is suspended."""

    minimum: int
    maximum: int
    created_at_ms: int
    policies: tuple[Policy, ...] = ()
    paused_in: bool = False
    paused_out: bool = False
    paused_schedules: bool = False  # kept and shown only: there are no schedules

    def policy(self, name: str) -> Policy | None:
        """The policy of that name."""
        return next((one for one in self.policies if one.name == name), None)

    def within(self, wanted: int) -> int:
        """The nearest number that its limits allow."""
        return min(max(wanted, self.minimum), self.maximum)


@dataclass(frozen=True, slots=True)
class ScalingSettings:
    """How a package, or somebody by hand, says it: within limits, so many jobs (queued and running) for each worker."""

    minimum: int
    maximum: int
    backlog_per_worker: float = SCALING_BACKLOG_DEFAULT
    scale_in_seconds: int = SCALING_COOLDOWN_SECONDS_DEFAULT
    scale_out_seconds: int = 0

    def plan(self, policy_id: str, now_ms: int) -> Plan:
        """The plan of these settings: one policy that tracks the backlog of each worker."""
        rule = Tracking(BACKLOG_PER_INSTANCE, self.backlog_per_worker, self.scale_in_seconds, self.scale_out_seconds)
        return Plan(self.minimum, self.maximum, now_ms, (Policy(OWN_POLICY, policy_id, now_ms, rule),))


# ---------------------------------------------------------------- target tracking


def tracked(target: float, backlog: int) -> int:
    """The workers that give each of them at most `target` jobs of a backlog: ceil(capacity x metric / target)."""
    return math.ceil(backlog / target - 1e-9) if backlog else 0


@dataclass(frozen=True, slots=True)
class Scaled:
    """The last change into a direction: when (milliseconds), from how many to how many."""

    at_ms: int
    before: int
    after: int


def may_grow(wanted: int, last: Scaled | None, cooldown_seconds: int, now_ms: int) -> bool:
    """While the cooldown of the last growth lasts, only more than that one brought is granted."""
    return last is None or now_ms >= last.at_ms + cooldown_seconds * 1000 or wanted > last.after


def may_shrink(last_grown: Scaled | None, last_shrunk: Scaled | None, cooldown_seconds: int, now_ms: int) -> bool:
    """Not before the cooldown since the last change, of either direction, has passed."""
    return all(one is None or now_ms >= one.at_ms + cooldown_seconds * 1000 for one in (last_grown, last_shrunk))


class Wishes:
    """The numbers of workers that were wanted lately, of which scaling in takes the highest.

    Of equal or rising wishes only the newest is kept, so it holds no more entries than there are numbers of workers.
    """

    def __init__(self, began_ms: int) -> None:
        self._began_ms = began_ms
        self._falling: list[tuple[int, int]] = []  # (until when it was wanted, how many), falling

    def add(self, wanted: int, now_ms: int) -> None:
        """So many are wanted now."""
        while self._falling and self._falling[-1][1] <= wanted:
            self._falling.pop()
        self._falling.append((now_ms, wanted))

    def highest(self, seconds: int, now_ms: int) -> int | None:
        """The highest wish of the last `seconds`; None: it has not been watched for so long."""
        since_ms = now_ms - seconds * 1000
        if self._began_ms > since_ms:
            return None
        while len(self._falling) > 1 and self._falling[0][0] <= since_ms:
            self._falling.pop(0)
        return self._falling[0][1] if self._falling else None


# ---------------------------------------------------------------- room on the machine


def room_for(wanted: int, present: int, free_bytes: int | None, worker_bytes: int | None, cores_max: int) -> int:
    """How many of the wanted workers the machine takes. The first is always tried: a job must not wait for ever.

    Args:
        wanted: more than `present`.
        free_bytes: of memory, now; None: not known.
        worker_bytes: of one more worker; None: not known.
        cores_max: workers that the processors allow.
    """
    most = max(cores_max, present)
    if free_bytes is not None and worker_bytes:
        most = min(most, present + max(0, free_bytes) // worker_bytes)
    return min(wanted, max(most, 1))


# ---------------------------------------------------------------- what may be asked for


def problem_of_limits(minimum: int, maximum: int, most: int) -> str | None:
    """What is wrong with them, in words; None: nothing."""
    if not 0 <= minimum <= maximum:
        return f"The minimum ({minimum}) must be from 0 to the maximum ({maximum})."
    if maximum > most:
        return f"The maximum ({maximum}) must be at most {most}."
    return None


def problem_of_steps(steps: Sequence[Step]) -> str | None:
    """What is wrong with them, in words: intervals that overlap, leave gaps, or are empty; None: nothing."""
    if not steps:
        return "At least one step is needed."
    ordered = sorted(steps, key=lambda one: -math.inf if one.lower is None else one.lower)
    for one in ordered:
        if one.lower is not None and one.upper is not None and one.lower >= one.upper:
            return f"The interval of a step is empty: {one.lower:g} to {one.upper:g}."
    for before, after in pairwise(ordered):
        if before.upper is None or after.lower is None:
            return "Only the first step may have no lower bound, and only the last no upper one."
        if before.upper != after.lower:
            return f"The intervals of the steps overlap or leave a gap between {before.upper:g} and {after.lower:g}."
    return None


def highest_floor(wishes: Iterable[int | None]) -> int | None:
    """What all tracking policies together allow to shrink to; None: one of them does not know yet."""
    floor = 0
    for wish in wishes:
        if wish is None:
            return None
        floor = max(floor, wish)
    return floor
