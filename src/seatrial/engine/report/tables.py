"""A JSON answer as tables within bounds, for the page."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

from seatrial.domain.limits import REPORT_CELL_CHARS_MAX, REPORT_ROWS_MAX
from seatrial.domain.media_types import BEGINNING_BYTES, type_by_beginning

CUT = "…"
_COLUMNS_MAX = 12
_PLAIN_CHARS_MAX = 100  # a list of so few stays JSON
_DEPTH_MAX = 8  # of tables in each other; what is deeper is shown as JSON
_BASE64_CHARS_MIN = 64  # shorter ones are words
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")
_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,")
_HEAD_CHARS = BEGINNING_BYTES * 4 // 3 // 4 * 4


@dataclass(frozen=True, slots=True)
class Text:
    """A value of one cell."""

    text: str


@dataclass(frozen=True, slots=True)
class Media:
    """Bytes that came as base64 or as a data URL: what they are, and themselves as base64."""

    media_type: str
    base64: str


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of cells below heads; without heads, names and values. `more` rows are not shown."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Text | Media | Grid, ...], ...]
    more: int = 0


Cell = Text | Media | Grid


def cell_of(value: Any) -> Cell:
    """Objects as names and values, lists of like objects as one table, media as what they are."""
    return _Layout(REPORT_ROWS_MAX).cell(value, 0)


class _Layout:
    def __init__(self, rows_max: int) -> None:
        self._left = rows_max

    def cell(self, value: Any, depth: int) -> Cell:
        if isinstance(value, str):
            return _media(value) or Text(_cut(value))
        if isinstance(value, dict) and value and depth < _DEPTH_MAX:
            return self._named(value, depth)
        if isinstance(value, list) and value and depth < _DEPTH_MAX:
            return self._list(value, depth)
        return Text(_plain(value))

    def _named(self, value: dict[str, Any], depth: int) -> Grid:
        names = self._taken(list(value))
        rows = tuple((Text(_cut(name)), self.cell(value[name], depth + 1)) for name in names)
        return Grid((), rows, len(value) - len(names))

    def _list(self, value: list[Any], depth: int) -> Cell:
        plain = json.dumps(value, ensure_ascii=False)
        if len(plain) <= _PLAIN_CHARS_MAX or all(not isinstance(one, dict | list | str) for one in value):
            return Text(_cut(plain))
        heads = tuple(value[0]) if isinstance(value[0], dict) else ()
        alike = 0 < len(heads) <= _COLUMNS_MAX and all(
            isinstance(one, dict) and set(one) <= set(heads) for one in value
        )
        taken = self._taken(value)
        if not alike:
            rows = [(self.cell(one, depth + 1),) for one in taken]
            return Grid((), tuple(rows), len(value) - len(taken))
        cells = [tuple(self.cell(one.get(head, ""), depth + 1) for head in heads) for one in taken]
        return Grid(tuple(map(_cut, heads)), tuple(cells), len(value) - len(taken))

    def _taken(self, value: list[Any]) -> list[Any]:
        taken = value[: max(0, self._left)]
        self._left -= len(taken)
        return taken


def _plain(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= REPORT_CELL_CHARS_MAX else text[:REPORT_CELL_CHARS_MAX] + CUT


def _media(text: str) -> Media | None:
    """A picture, a mesh, a sound or a film in base64, by how its bytes begin."""
    named = _DATA_URL.match(text)
    body = text[named.end() :] if named else text
    if len(body) < _BASE64_CHARS_MIN or not _BASE64.fullmatch(body):
        return None
    try:
        found = type_by_beginning(base64.b64decode(body[:_HEAD_CHARS]))
    except (ValueError, binascii.Error):
        return None
    if found is None or not found.startswith(("image/", "model/", "audio/", "video/")):
        return None
    return Media(found, "".join(body.split()))
