"""Words in an answer that a real result seldom has, such as "placeholder": not proof of anything, but worth a look."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.domain.limits import (
    DOUBTS_LISTED_MAX,
    DOUBTS_TEXT_CHARS_MAX,
    DOUBTS_VALUES_MAX,
    VALUE_SHOWN_CHARS_MAX,
)

_WORDS = re.compile(
    r"\bplace[ _-]?holders?\b|\b(?:not|never)[ _](?:yet[ _])?(?:loaded|initiali[sz]ed|implemented|installed)\b"
    r"|\b(?:mock|dummy|fake|stub)(?:ed)?[ _](?:output|result|response|answer|data|model|value|image|mesh)s?\b",
    re.IGNORECASE,
)


def doubtful_words(answer: Any, request: str = "") -> list[str]:
    """One text for each: the words, and where they stand. Those that the request has itself are only repeated.

    A text is looked at, and the name of a field that is true (`is_placeholder`).
    """
    asked = request.lower()
    doubts: list[str] = []
    for path, text in _texts(answer):
        found = _WORDS.search(text.replace("_", " ") if text.isidentifier() else text)
        if found is None or found[0].lower() in asked:
            continue
        doubts.append(f"{found[0]!r} in {_cut(path)!r}" if path else repr(found[0]))
        if len(doubts) == DOUBTS_LISTED_MAX:
            break
    return doubts


def _texts(answer: Any) -> Iterator[tuple[str, str]]:
    """The path of each text, such as `meta/notes/0`, with it; of a field that is true its name."""
    waiting: list[tuple[str, Any]] = [("", answer)]
    for _ in range(DOUBTS_VALUES_MAX):
        if not waiting:
            return
        path, value = waiting.pop()
        if isinstance(value, str):
            yield path, value[:DOUBTS_TEXT_CHARS_MAX]
        elif value is True:
            yield path, path.rpartition("/")[2]
        elif isinstance(value, Mapping | list):
            inner = value.items() if isinstance(value, Mapping) else enumerate(value[:DOUBTS_VALUES_MAX])
            waiting += reversed([(f"{path}/{name}".lstrip("/"), one) for name, one in inner])


def _cut(path: str) -> str:
    return path if len(path) <= VALUE_SHOWN_CHARS_MAX else path[:VALUE_SHOWN_CHARS_MAX] + "…"
