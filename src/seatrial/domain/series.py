"""Figures over time, one point a minute, and the statistics that are asked of them. The words are CloudWatch's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

MINUTE_MS = 60_000
NAMESPACE = "AWS/SageMaker"


class Statistic(StrEnum):
    """What is told of the samples of a period."""

    COUNT = "SampleCount"
    AVERAGE = "Average"
    SUM = "Sum"
    MINIMUM = "Minimum"
    MAXIMUM = "Maximum"


@dataclass(frozen=True, slots=True)
class Point:
    """The samples of some time."""

    count: float
    total: float
    low: float
    high: float

    def statistic(self, which: Statistic) -> float:
        """One figure of them."""
        match which:
            case Statistic.COUNT:
                return self.count
            case Statistic.AVERAGE:
                return self.total / self.count
            case Statistic.SUM:
                return self.total
            case Statistic.MINIMUM:
                return self.low
            case Statistic.MAXIMUM:
                return self.high


def sample(value: float) -> Point:
    """One sample alone."""
    return Point(1, value, value, value)


def merged(points: Iterable[Point]) -> Point | None:
    """All samples together; None: there are none."""
    found = list(points)
    if not found:
        return None
    return Point(
        sum(one.count for one in found),
        sum(one.total for one in found),
        min(one.low for one in found),
        max(one.high for one in found),
    )


@dataclass(frozen=True, slots=True)
class Metric:
    """A series by its name. `dimensions` are sorted pairs."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    def dimension(self, name: str) -> str | None:
        """Its value of that dimension."""
        return dict(self.dimensions).get(name)

    def matches(self, namespace: str | None, name: str | None, dimensions: Mapping[str, str | None]) -> bool:
        """Whether a listing with that filter shows it; a dimension without a value need only be there."""
        if (namespace or self.namespace, name or self.name) != (self.namespace, self.name):
            return False
        own = dict(self.dimensions)
        return all(key in own and value in (None, own[key]) for key, value in dimensions.items())


def metric(namespace: str, name: str, dimensions: Mapping[str, str]) -> Metric:
    """The series of that name."""
    return Metric(namespace, name, tuple(sorted(dimensions.items())))


def periods(points: Mapping[int, Point], since_ms: int, until_ms: int, period_seconds: int) -> list[tuple[int, Point]]:
    """The points of each period that has samples, as (its beginning in milliseconds, its samples), oldest first.

    Periods begin at whole multiples of their length since `since_ms`, rounded down to a minute; `points` are by the
    number of their minute since the epoch.
    """
    first = since_ms // MINUTE_MS
    width = max(period_seconds // 60, 1)
    found: dict[int, list[Point]] = {}
    for minute, point in points.items():
        if minute >= first and minute * MINUTE_MS < until_ms:
            found.setdefault(first + (minute - first) // width * width, []).append(point)
    together = ((start * MINUTE_MS, merged(found[start])) for start in sorted(found))
    return [(start, point) for start, point in together if point is not None]


class Series:
    """The points of one metric, at most `kept` minutes of them."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self.points: dict[int, Point] = {}  # by minute since the epoch

    def add(self, value: Point, now_ms: int) -> None:
        """Samples of something that happens."""
        minute = now_ms // MINUTE_MS
        before = self.points.pop(minute, None)
        self._put(minute, value if before is None else merged((before, value)) or value)

    def set(self, value: float, now_ms: int) -> None:
        """A level as it is now: the last one of a minute is that minute's only sample."""
        minute = now_ms // MINUTE_MS
        self.points.pop(minute, None)
        self._put(minute, sample(value))

    def _put(self, minute: int, point: Point) -> None:
        self.points[minute] = point
        if len(self.points) > self._kept:
            del self.points[min(self.points)]
