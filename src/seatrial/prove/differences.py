"""Where two JSON answers to one request differ."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

ANY_INDEX = "*"  # stands for every place of a list

# Names whose values tell of the run itself, not of its result.
_OF_THE_RUN = re.compile(
    r"(^|_)(seconds|secs?|ms|millis(econds)?|time|timing|timestamp|duration|elapsed|latency|date|created(_at)?|uptime"
    r"|memory(_bytes|_mb)?|rss(_bytes)?|fps)$"
)


def differences(one: Any, other: Any, tolerance: float) -> Iterator[str]:
    """The paths at which they differ, such as `rooms/*/area`, each once, and never more than one for one place.

    Numbers may differ by `tolerance`, relative to the larger. Lists of different length differ as a whole. The
    path of the values themselves is "".
    """
    seen: set[str] = set()
    for path in _differ(one, other, tolerance, ()):
        text = "/".join(path)
        if text not in seen:
            seen.add(text)
            yield text


def value_at(value: Any, path: str) -> list[Any]:
    """All values at a path that `differences` gave; what is not there is left out."""
    found = [value]
    for step in path.split("/") if path else ():
        if step == ANY_INDEX:
            found = [item for one in found if isinstance(one, list) for item in one]
        else:
            found = [one[step] for one in found if isinstance(one, Mapping) and step in one]
    return found


def covered(path: str, patterns: frozenset[str] | tuple[str, ...]) -> bool:
    """Whether a path is one of the patterns, or lies below one; `*` in a pattern stands for any step."""
    return any(_covers(pattern.split("/"), path.split("/")) for pattern in patterns)


def tells_of_the_run(path: str) -> bool:
    """Whether a field's name says that its value is a time, a duration or a use of memory."""
    names = [step for step in path.split("/") if step != ANY_INDEX]
    return any(_OF_THE_RUN.search(name.lower()) is not None for name in names)


def _covers(pattern: list[str], path: list[str]) -> bool:
    if len(pattern) > len(path):
        return False
    return all(want in (ANY_INDEX, step) for want, step in zip(pattern, path, strict=False))


def _differ(one: Any, other: Any, tolerance: float, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in [*one, *(name for name in other if name not in one)]:
            if name in one and name in other:
                yield from _differ(one[name], other[name], tolerance, (*path, name))
            else:
                yield (*path, name)
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            yield path
        else:
            for left, right in zip(one, other, strict=True):
                yield from _differ(left, right, tolerance, (*path, ANY_INDEX))
    elif not _same(one, other, tolerance):
        yield path


def _same(one: Any, other: Any, tolerance: float) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other))
    if numbers and isinstance(one, float) | isinstance(other, float):
        both_nan = one != one and other != other
        return both_nan or math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance * 1e-3)
    return type(one) is type(other) and bool(one == other)
