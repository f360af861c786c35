"""What Cog's code says beside its answer: metrics; and the context that a request has (`cog.current_scope()`).

Naming and accumulation as in replicate/cog 0.23 (`docs/python.md`, Metrics).
"""

# ruff: noqa: TID252, UP006, UP045  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import re
import sys
from typing import Any, Callable, Dict, Mapping, Optional  # noqa: UP035

from .answer import json_bytes

_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9]|_(?!_|\.|$))*(\.[A-Za-z]([A-Za-z0-9]|_(?!_|\.|$))*){0,3}")
NAME_CHARS_MAX = 128
METRICS_MAX = 200  # names of one prediction


class Metrics:
    """Of the prediction at hand; outside of one everything is ignored."""

    def __init__(self) -> None:
        self._tell: Optional[Callable[[bytes], None]] = None
        self.values: Dict[str, Any] = {}
        self.context: Dict[str, str] = {}

    def begin(self, context: Mapping[str, str], tell: Callable[[bytes], None]) -> None:
        """A prediction begins; `tell` gets `{"metrics": {…}}` after each change."""
        self.values, self.context, self._tell = {}, dict(context), tell

    def end(self) -> None:
        """It has ended."""
        self._tell, self.context = None, {}

    def record(self, key: str, value: Any, mode: Optional[str] = None) -> None:
        """Set, add to (`incr`) or append to a metric; None deletes it.

        Raises:
            ValueError: no name or mode of a metric.
        """
        if self._tell is None:
            return
        if len(key) > NAME_CHARS_MAX or not _NAME.fullmatch(key) or key == "predict_time" or key.startswith("cog."):
            raise ValueError(f"{key[:NAME_CHARS_MAX]!r} cannot be the name of a metric")
        where = self.values
        *above, last = key.split(".")
        for step in above:
            inner = where.setdefault(step, {})
            if not isinstance(inner, dict):
                raise ValueError(f"the metric {step!r} is no group of metrics")
            where = inner
        if value is None:
            where.pop(last, None)
        elif mode in (None, "replace"):
            where[last] = value
        elif mode == "incr":
            where[last] = where.get(last, 0) + value
        elif mode == "append":
            where[last] = [*where.get(last, []), value]
        else:
            raise ValueError(f"{mode!r} is no mode of a metric; valid: replace, incr, append")
        if len(self.values) <= METRICS_MAX:
            self._tell(json_bytes({"metrics": self.values}))

    def delete(self, key: str) -> None:
        """Remove a metric."""
        self.record(key, None)

    __setitem__ = record
    __delitem__ = delete


class Scope:
    """As `cog.current_scope()` gives it."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    @property
    def context(self) -> Dict[str, str]:
        """What the request has under `context`."""
        return dict(self.metrics.context)

    def record_metric(self, key: str, value: Any, mode: Optional[str] = None) -> None:
        """The same as `metrics.record`."""
        self.metrics.record(key, value, mode)


def offer_scope(metrics: Metrics) -> None:
    """Cog asks this function for the scope; releases before 0.17 have none."""
    sdk = getattr(sys.modules.get("coglet"), "_sdk", None)
    if sdk is not None:
        scope = Scope(metrics)
        sdk.current_scope = lambda: scope
