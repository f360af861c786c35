"""What a job of a trial answered, in a form that can be compared with another run of the same request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.domain.contract import Output
from seatrial.domain.jobs import Job, Part
from seatrial.domain.limits import JSON_OUTPUT_BYTES_MAX, KIB
from seatrial.domain.media_types import is_json
from seatrial.engine.outputs import PRIMARY
from seatrial.ports.object_store import ObjectStore
from seatrial.prove.differences import covered, differences, value_at
from seatrial.prove.likeness import alike

KEPT_JSON_BYTES_MAX = 256 * KIB
PICTURE_BYTES_MAX = JSON_OUTPUT_BYTES_MAX  # beyond it pictures are compared by their bytes only


@dataclass(frozen=True, slots=True)
class Answer:
    """`value` is the JSON answer without its references to parts, or None; `parts` are the others, by name.

    An answer that is no JSON is itself a part named `result`; of a small one that is text, `text` is what it says.
    """

    value: Any
    parts: Mapping[str, Part]
    pictures: Mapping[str, bytes]
    json_bytes: int = 0
    job_id: str = ""
    text: str = ""

    def light(self) -> Answer:
        """Without pictures, and without JSON that is too large to be kept many times."""
        return Answer(
            self.value if self.json_bytes <= KEPT_JSON_BYTES_MAX else None, self.parts, {}, job_id=self.job_id
        )

    def at(self, path: str) -> str:
        """A part by its digest, or what the answer holds at a path, as text that can be counted."""
        part = self.parts.get(path)
        return part.sha256 if part is not None else json.dumps(value_at(self.value, path), sort_keys=True)


async def read_answer(objects: ObjectStore, job: Job) -> Answer:
    """What a job that succeeded has published."""
    primary = next(part for part in job.parts if part.name == PRIMARY)
    others = {part.name: part for part in job.parts if part.name != PRIMARY}
    value: Any = None
    if is_json(primary.media_type) and primary.size_bytes <= JSON_OUTPUT_BYTES_MAX:
        try:
            value = json.loads(await _content(objects, primary))
        except ValueError:
            others[PRIMARY] = primary
        else:
            if isinstance(value, dict):
                value = {name: inner for name, inner in value.items() if name not in others}
    else:
        others[PRIMARY] = primary
    pictures = {name: await _content(objects, part) for name, part in others.items() if _is_picture(part)}
    text = (await _content(objects, primary)).decode(errors="replace") if _is_text(primary) else ""
    return Answer(value, others, pictures, primary.size_bytes, job.id, text)


async def differing(one: Answer, other: Answer, output: Output, varying: frozenset[str]) -> list[str]:
    """The fields and parts in which two answers to one request differ, those aside that may vary."""
    may_vary = varying | frozenset(output.varying)
    paths = [path for path in differences(one.value, other.value, output.tolerance) if not covered(path, may_vary)]
    names = [name for name in sorted(one.parts.keys() | other.parts.keys()) if not covered(name, may_vary)]
    return paths + [name for name in names if not await _same_part(one, other, name)]


async def _same_part(one: Answer, other: Answer, name: str) -> bool:
    left, right = one.parts.get(name), other.parts.get(name)
    if left is None or right is None:
        return False
    if left.sha256 == right.sha256:
        return True
    pictures = one.pictures.get(name), other.pictures.get(name)
    if pictures[0] is None or pictures[1] is None:
        return False
    return await asyncio.to_thread(alike, pictures[0], pictures[1])


def _is_picture(part: Part) -> bool:
    return part.media_type.startswith("image/") and part.size_bytes <= PICTURE_BYTES_MAX


def _is_text(part: Part) -> bool:
    return part.media_type.startswith("text/") and part.size_bytes <= KEPT_JSON_BYTES_MAX


async def _content(objects: ObjectStore, part: Part) -> bytes:
    reading = await objects.read(part.object)
    return b"".join([chunk async for chunk in reading.chunks])
