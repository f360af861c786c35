"""What a report is bound to: a few facts, each with a hash. When one of them changes, the report is stale."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.domain.limits import NAMES_SHOWN_MAX

PACKAGE, ENVIRONMENT, INTERPRETER, PLATFORM, DEVICE, SAMPLES = BINDINGS = (
    "package",
    "environment",
    "interpreter",
    "platform",
    "device",
    "samples",
)
Facts = Mapping[str, Any]  # plain JSON


def bound(facts: Facts) -> dict[str, Any]:
    """Facts with the SHA-256 over their JSON, names in order, without blanks."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "facts": dict(facts)}


def changes(then: Mapping[str, Any], now: Mapping[str, Facts]) -> list[str]:
    """What differs, for people; `then` are the bindings of a report, `now` the facts of today, as far as known."""
    said = []
    for name, facts in now.items():
        before = then.get(name)
        if before is not None and bound(facts)["sha256"] != before["sha256"]:
            said.append(f"{name}: {_difference(before['facts'], facts)}")
    return said


def _difference(then: Facts, now: Facts) -> str:
    words = list(_differing(then, now))
    more = f" and {len(words) - NAMES_SHOWN_MAX} more" if len(words) > NAMES_SHOWN_MAX else ""
    return ", ".join(words[:NAMES_SHOWN_MAX]) + more


def _differing(then: Facts, now: Facts) -> Iterator[str]:
    for name in sorted({**then, **now}):
        before, after = then.get(name), now.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differing(before, after)
        elif before != after:
            yield f"{name} {_word(before)} → {_word(after)}"


def _word(value: Any) -> str:
    return "none" if value is None else str(value)
