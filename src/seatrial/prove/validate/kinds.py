"""What a file is: by its extension, else by how its bytes begin."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from seatrial.prove.validate.content import Content


class Kind(StrEnum):
    """Kinds of outputs, each with its own checks."""

    IMAGE = "image"
    MESH = "mesh"
    ARRAY = "array"
    JSON = "json"
    AUDIO = "audio"
    VIDEO = "video"
    OTHER = "other"  # only exists and size are looked at


EXTENSIONS: Mapping[Kind, tuple[str, ...]] = {
    Kind.IMAGE: (".png", ".apng", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"),
    Kind.MESH: (".glb", ".ply", ".obj", ".stl"),
    Kind.ARRAY: (".npy", ".npz"),
    Kind.JSON: (".json", ".jsonl", ".ndjson", ".geojson"),
    Kind.AUDIO: (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a"),
    Kind.VIDEO: (".mp4", ".m4v", ".mov", ".webm", ".mkv"),
}

_BY_EXTENSION = {extension: kind for kind, extensions in EXTENSIONS.items() for extension in extensions}
KNOWN_EXTENSIONS = frozenset(_BY_EXTENSION)
_BEGINNINGS: tuple[tuple[Kind, int, bytes], ...] = (
    (Kind.IMAGE, 0, b"\x89PNG\r\n\x1a\n"),
    (Kind.IMAGE, 0, b"\xff\xd8\xff"),
    (Kind.IMAGE, 8, b"WEBP"),
    (Kind.IMAGE, 0, b"GIF8"),
    (Kind.IMAGE, 0, b"II*\x00"),
    (Kind.IMAGE, 0, b"MM\x00*"),
    (Kind.IMAGE, 4, b"ftypavif"),
    (Kind.IMAGE, 4, b"ftypavis"),
    (Kind.MESH, 0, b"glTF"),
    (Kind.MESH, 0, b"ply\n"),
    (Kind.MESH, 0, b"ply\r"),
    (Kind.ARRAY, 0, b"\x93NUMPY"),
    (Kind.AUDIO, 8, b"WAVE"),
    (Kind.AUDIO, 0, b"fLaC"),
    (Kind.AUDIO, 0, b"OggS"),
    (Kind.AUDIO, 0, b"ID3"),
    (Kind.VIDEO, 4, b"ftyp"),
    (Kind.VIDEO, 0, b"\x1a\x45\xdf\xa3"),
)


def kind_of_name(name: str) -> Kind:
    """The kind that a name claims by its extension; OTHER of one that claims none."""
    return _BY_EXTENSION.get(Path(name).suffix.lower(), Kind.OTHER)


def kind_of(content: Content) -> Kind:
    """The kind that the name claims; of a name that claims none, the kind that the bytes show.

    Raises:
        OSError: the file cannot be read.
    """
    claimed = _BY_EXTENSION.get(content.suffix)
    return claimed if claimed is not None else _shown_by(content.beginning())


def _shown_by(beginning: bytes) -> Kind:
    for kind, at, mark in _BEGINNINGS:
        if beginning[at : at + len(mark)] == mark:
            return kind
    return Kind.JSON if beginning.lstrip()[:1] in (b"{", b"[") else Kind.OTHER
