"""An answer in a form that can be compared with another one: a JSON value, and bytes with their digests."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.prove.contract import Output
from seatrial.prove.differences import covered, differences, tells_of_the_run, value_at
from seatrial.prove.embedded import Embedded, pictures_in
from seatrial.prove.finding import Finding, Outcome
from seatrial.prove.likeness import alike
from seatrial.prove.limits import CALLBACK_PARTS_MAX, JSON_BYTES_MAX, STRESS_RICH_BYTES, STRESS_RICH_CHARS
from seatrial.prove.outputs import judge
from seatrial.prove.stress.variants import Variant
from seatrial.prove.targets.answer import Answer, Part

PRIMARY = "result"


@dataclass(frozen=True, slots=True)
class Bytes:
    """One object, or a picture that was inside the JSON answer."""

    data: bytes
    media_type: str
    sha256: str

    @property
    def is_picture(self) -> bool:
        """By its media type."""
        return self.media_type.startswith("image/")


@dataclass(frozen=True, slots=True)
class Content:
    """`value` is the JSON answer without references to parts and without pictures; `parts` are those, by name."""

    value: Any
    parts: Mapping[str, Bytes]

    def at(self, path: str) -> str:
        """What lies at a path, as text that can be compared."""
        part = self.parts.get(path)
        return part.sha256 if part is not None else json.dumps(value_at(self.value, path), sort_keys=True)

    def is_rich(self, path: str) -> bool:
        """Whether what lies there does not come about twice by chance."""
        part = self.parts.get(path)
        return len(part.data) >= STRESS_RICH_BYTES if part is not None else len(self.at(path)) >= STRESS_RICH_CHARS


def content_of(answer: Answer) -> Content:
    """What an answer that succeeded holds."""
    parts = {part.name: _bytes(part) for part in answer.parts[1:]}
    primary = answer.parts[0]
    value = _json(primary)
    if value is None:
        return Content(None, {PRIMARY: _bytes(primary), **parts})
    if isinstance(value, dict):
        value = {name: inner for name, inner in value.items() if name not in parts}
    pictures = list(pictures_in(value, CALLBACK_PARTS_MAX))
    for picture in pictures:
        parts[picture.path.replace(".", "/") or PRIMARY] = _picture(picture)
    return Content(_without(value, pictures) if pictures else value, parts)


def faults_of(answer: Answer, variant: Variant) -> list[Finding]:
    """What is wrong with an answer that succeeded, by its contract and by the validators; empty: nothing.

    Raises:
        MissingLibrary: looking at its kind of output needs the extra `validate`.
    """
    return [one for one in judge(answer, variant.task, variant.sample) if one.outcome is Outcome.FAILED]


def same_at(one: Content, other: Content, path: str) -> bool:
    """Whether the same lies at a path: the same value, the same bytes, or a picture that looks the same."""
    if path in one.parts or path in other.parts:
        return _same(one, other, path)
    return one.at(path) == other.at(path)


def differing(one: Content, other: Content, output: Output, varying: frozenset[str]) -> list[str]:
    """The paths at which two answers differ, those aside that may vary by contract, by nature or by experience."""
    may_vary = varying | frozenset(output.varying)
    paths = [path for path in differences(one.value, other.value, output.tolerance) if not tells_of_the_run(path)]
    names = [name for name in sorted(one.parts.keys() | other.parts.keys()) if not _same(one, other, name)]
    return [path for path in [*paths, *names] if not covered(path, may_vary)]


def _same(one: Content, other: Content, name: str) -> bool:
    left, right = one.parts.get(name), other.parts.get(name)
    if left is None or right is None:
        return False
    if left.sha256 == right.sha256:
        return True
    return left.is_picture and right.is_picture and alike(left.data, right.data)


def _json(part: Part) -> Any:
    said = part.media_type.partition(";")[0].strip()
    if not (said.endswith(("/json", "+json")) or part.data[:1] in (b"{", b"[")) or len(part.data) > JSON_BYTES_MAX:
        return None
    try:
        return part.document()
    except (ValueError, RecursionError):
        return None


def _bytes(part: Part) -> Bytes:
    return Bytes(part.data, part.media_type, hashlib.sha256(part.data).hexdigest())


def _picture(picture: Embedded) -> Bytes:
    return Bytes(picture.data, picture.media_type, hashlib.sha256(picture.data).hexdigest())


def _without(value: Any, pictures: list[Embedded]) -> Any:
    """A copy in which each picture is only a mark that there is one."""
    if isinstance(value, str):
        return "picture"
    made = copy.deepcopy(value)
    for picture in pictures:
        *way, last = picture.steps
        inside = made
        for step in way:
            inside = inside[step]
        inside[last] = "picture"
    return made
