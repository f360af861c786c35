"""Alarms on metrics: when they are in alarm, and what they say then.

Source: CloudWatch's user guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from seatrial.domain.series import MINUTE_MS, Metric, Point, Statistic, merged


class AlarmState(StrEnum):
    """What an alarm is; the words are CloudWatch's."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT = "INSUFFICIENT_DATA"


class Comparison(StrEnum):
    """When a value breaches the threshold."""

    ABOVE = "GreaterThanThreshold"
    AT_LEAST = "GreaterThanOrEqualToThreshold"
    BELOW = "LessThanThreshold"
    AT_MOST = "LessThanOrEqualToThreshold"


class Missing(StrEnum):
    """What a period without samples counts as."""

    MISSING = "missing"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """`datapoints` of the last `evaluation_periods` periods must breach."""

    metric: Metric
    statistic: Statistic
    period_seconds: int
    evaluation_periods: int
    datapoints: int
    comparison: Comparison
    threshold: float
    missing: Missing = Missing.MISSING

    def breaches(self, value: float) -> bool:
        """Whether a value does."""
        match self.comparison:
            case Comparison.ABOVE:
                return value > self.threshold
            case Comparison.AT_LEAST:
                return value >= self.threshold
            case Comparison.BELOW:
                return value < self.threshold
            case Comparison.AT_MOST:
                return value <= self.threshold


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm as it was given, with its state. Actions are ARNs, by the state that they belong to."""

    name: str
    owner: str
    rule: AlarmRule
    actions: Mapping[AlarmState, tuple[str, ...]]
    actions_enabled: bool
    description: str | None
    unit: str | None
    configured_at_ms: int
    state: AlarmState = AlarmState.INSUFFICIENT
    reason: str = "Unchecked: Initial alarm creation"
    reason_data: str | None = None
    since_ms: int = 0


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """An entry of an alarm's history. `kind` is ConfigurationUpdate, StateUpdate or Action."""

    alarm: str
    at_ms: int
    kind: str
    summary: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an alarm should be, and why. `values` are those of the evaluated periods, newest first (None: missing)."""

    state: AlarmState
    reason: str
    values: tuple[float | None, ...] = ()


def evaluated(rule: AlarmRule, points: Mapping[int, Point], now_ms: int, is_level: bool) -> tuple[float | None, ...]:
    """The value of each period that counts, newest first; None where a period has no samples.

    The minute that runs counts where the metric is a level, once it has been measured; of what happens, only
    minutes that are over count, since a sum is not known before.
    """
    minute = now_ms // MINUTE_MS
    end = minute + 1 if is_level and minute in points else minute
    width = max(rule.period_seconds // 60, 1)
    values: list[float | None] = []
    for back in range(rule.evaluation_periods):
        stop = end - back * width
        together = merged(points[one] for one in range(stop - width, stop) if one in points)
        values.append(None if together is None else together.statistic(rule.statistic))
    return tuple(values)


def judged(rule: AlarmRule, values: Sequence[float | None], before: AlarmState) -> Verdict:
    """The state for those values, newest first; `before` is kept where the rule says so."""
    present = [one for one in values if one is not None]
    if not present and rule.missing is Missing.IGNORE:
        return Verdict(before, "No datapoints were received; missing data is ignored.", tuple(values))
    if not present and rule.missing is Missing.MISSING:
        return Verdict(
            AlarmState.INSUFFICIENT,
            f"Insufficient Data: {_datapoints(rule.evaluation_periods)} {_were(rule.evaluation_periods)} unknown.",
            tuple(values),
        )
    counted = [_breach(rule, one) for one in values]
    breaching = sum(one is True for one in counted)
    state = AlarmState.ALARM if breaching >= rule.datapoints else AlarmState.OK
    return Verdict(state, _reason(rule, values, state), tuple(values))


def _breach(rule: AlarmRule, value: float | None) -> bool | None:
    if value is not None:
        return rule.breaches(value)
    return {Missing.BREACHING: True, Missing.NOT_BREACHING: False}.get(rule.missing)


def _reason(rule: AlarmRule, values: Sequence[float | None], state: AlarmState) -> str:
    """In CloudWatch's words."""
    shown = [one for one in values if one is not None and rule.breaches(one) is (state is AlarmState.ALARM)]
    negation = "" if state is AlarmState.ALARM else "not "
    relation = _RELATIONS[rule.comparison]
    if not shown:
        count = len(values)
        treated = f"missing data points were treated as {_TREATED[rule.missing]}"
        return f"Threshold Crossed: no datapoints were received for {count} {_periods(count)} and {treated}."
    count = len(shown)
    listed = ", ".join(f"{one:g}" for one in shown)
    return (
        f"Threshold Crossed: {count} {'datapoint' if count == 1 else 'datapoints'} [{listed}] {_were(count)} "
        f"{negation}{relation} the threshold ({rule.threshold:g})."
    )


_RELATIONS = {
    Comparison.ABOVE: "greater than",
    Comparison.AT_LEAST: "greater than or equal to",
    Comparison.BELOW: "less than",
    Comparison.AT_MOST: "less than or equal to",
}
_TREATED = {
    Missing.BREACHING: "[Breaching]",
    Missing.NOT_BREACHING: "[NonBreaching]",
    Missing.MISSING: "[Missing]",
    Missing.IGNORE: "[Ignored]",
}


def _datapoints(count: int) -> str:
    return "1 datapoint" if count == 1 else f"{count} datapoints"


def _periods(count: int) -> str:
    return "period" if count == 1 else "periods"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
