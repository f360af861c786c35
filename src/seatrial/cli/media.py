"""Media types of files, and files for media types."""

from __future__ import annotations

import mimetypes
from pathlib import Path

UNKNOWN = "application/octet-stream"
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"glTF", "model/gltf-binary"),
)


def media_type_of(name: str, content: bytes) -> str:
    """By what the bytes are, else by the name, else JSON or text if they read so."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    by_magic = next((kind for magic, kind in _MAGIC if content.startswith(magic)), None)
    if by_magic is not None and by_magic != "application/zip":
        return by_magic
    by_name = mimetypes.guess_type(name)[0]
    if by_name is not None:
        return by_name
    if content.lstrip()[:1] in (b"{", b"["):
        return "application/json"
    return by_magic or UNKNOWN


def is_json(media_type: str) -> bool:
    """JSON, in any of its names."""
    essence = media_type.partition(";")[0].strip().lower()
    return essence == "application/json" or essence.endswith("+json")


def is_text(media_type: str) -> bool:
    """What can be shown on a terminal."""
    return media_type.startswith("text/") or is_json(media_type)


def beside(path: Path, part: str, media_type: str) -> Path:
    """Where a part of the result at `path` goes: stem-part.extension."""
    extension = mimetypes.guess_extension(media_type.partition(";")[0].strip()) or ".bin"
    return path.with_name(f"{path.stem}-{part}{extension}")
