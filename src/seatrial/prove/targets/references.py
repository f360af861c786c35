"""Parts of an answer that lie in objects of their own, to which its JSON refers: how a Seatrial server publishes them.

A reference is a field of the answer with the value `{"uri", "media_type", "bytes", "sha256"}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.prove.limits import TARGET_ANSWER_BYTES_MAX, TARGET_REFERENCES_MAX
from seatrial.prove.targets.answer import Part
from seatrial.prove.targets.trouble import Unreachable

_KEYS = frozenset({"uri", "media_type", "bytes", "sha256"})
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """The field `name` of an answer, and the object that it refers to, as the answer tells of it."""

    name: str
    uri: str
    media_type: str
    size_bytes: int
    sha256: str

    def is_beside(self, output: str) -> bool:
        """Whether it is named as a part of the answer at `output` is: `a/b-overlay.png` of `a/b.out`."""
        folder, _, last = output.rpartition("/")
        return self.uri.startswith(f"{folder}/{last.rpartition('.')[0] or last}-")


def references_in(part: Part) -> list[Reference]:
    """Those in `s3://` that a JSON answer has as its fields; a value of any other shape is data.

    Raises:
        Unreachable: they are more, or larger in all, than are read.
    """
    try:
        document = part.document()
    except (ValueError, RecursionError):
        return []
    fields = document.items() if isinstance(document, Mapping) else ()
    found = [Reference(name, *_told(value)) for name, value in fields if _is_reference(value)]
    size = sum(one.size_bytes for one in found)
    if len(found) > TARGET_REFERENCES_MAX or size > TARGET_ANSWER_BYTES_MAX:
        limits = f"{TARGET_REFERENCES_MAX:,} with {TARGET_ANSWER_BYTES_MAX:,} bytes in all are read"
        raise Unreachable(f"{part.location} refers to {len(found):,} parts with {size:,} bytes; {limits}")
    return found


def _told(value: Mapping[str, Any]) -> tuple[str, str, int, str]:
    return value["uri"], value["media_type"], value["bytes"], value["sha256"]


def _is_reference(value: Any) -> bool:
    if not isinstance(value, Mapping) or value.keys() != _KEYS:
        return False
    uri, media_type, size, sha256 = (value[key] for key in ("uri", "media_type", "bytes", "sha256"))
    is_size = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    is_sha256 = isinstance(sha256, str) and _SHA256.fullmatch(sha256) is not None
    return isinstance(uri, str) and uri.startswith("s3://") and isinstance(media_type, str) and is_size and is_sha256
