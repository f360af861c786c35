"""Figures over time, one point a minute, and the statistics that are asked of them. The words are CloudWatch's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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


class Series(Mapping[int, Point]):
    """The points of one metric by minute since the epoch, at most `kept` of them.

    They are kept as mutable rows: a sample costs under a microsecond, since one comes with the end of every job.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._rows: dict[int, list[float]] = {}  # count, total, low, high

    def __getitem__(self, minute: int) -> Point:
        """The samples of a minute. Raises KeyError: it has none."""
        return Point(*self._rows[minute])

    def __iter__(self) -> Iterator[int]:
        """The minutes that have samples, in no order."""
        return iter(self._rows)

    def __len__(self) -> int:
        """How many minutes have samples."""
        return len(self._rows)

    def happened(self, value: float, now_ms: int) -> None:
        """One sample of something that happens."""
        row = self._rows.get(now_ms // MINUTE_MS)
        if row is None:
            self._put(now_ms // MINUTE_MS, [1, value, value, value])
            return
        row[0] += 1
        row[1] += value
        if value < row[2]:
            row[2] = value
        if value > row[3]:
            row[3] = value

    def add(self, samples: Point, at_ms: int) -> None:
        """Several samples together."""
        minute = at_ms // MINUTE_MS
        both = samples if minute not in self._rows else merged((self[minute], samples)) or samples
        self._put(minute, [both.count, both.total, both.low, both.high])

    def set(self, value: float, now_ms: int) -> None:
        """A level as it is now: the last one of a minute is that minute's only sample."""
        self._put(now_ms // MINUTE_MS, [1, value, value, value])

    def _put(self, minute: int, row: list[float]) -> None:
        self._rows[minute] = row
        if len(self._rows) > self._kept:
            del self._rows[min(self._rows)]
