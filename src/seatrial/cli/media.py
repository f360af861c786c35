"""Media types of files that are sent, and files for what comes back."""

from __future__ import annotations

from pathlib import Path

from seatrial.domain import media_types
from seatrial.domain.media_types import BEGINNING_BYTES, JSON, UNSPECIFIC, extension_of, is_json


def media_type_of(name: str, content: bytes) -> str:
    """By the name and the bytes; what begins as JSON does and is nothing else that is known is JSON."""
    found = media_types.media_type_of(name, content[:BEGINNING_BYTES])
    return JSON if found in UNSPECIFIC and content.lstrip()[:1] in (b"{", b"[") else found


def is_text(media_type: str) -> bool:
    """What can be shown on a terminal."""
    return media_type.startswith("text/") or is_json(media_type)


def beside(path: Path, part: str, media_type: str) -> Path:
    """Where a part of the result at `path` goes: stem-part.extension."""
    return path.with_name(f"{path.stem}-{part}{extension_of(media_type)}")
