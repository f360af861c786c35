"""Media types: their file extensions, and how their bytes begin."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from pathlib import PurePosixPath

JSON = "application/json"
UNSPECIFIC = frozenset({"application/octet-stream", "binary/octet-stream"})  # how S3 clients say that they do not know

EXTENSIONS: Mapping[str, str] = {
    "application/gzip": ".gz",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/x-ndjson": ".ndjson",
    "application/x-npy": ".npy",
    "application/x-npz": ".npz",
    "application/x-ply": ".ply",
    "application/zip": ".zip",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "image/avif": ".avif",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/svg+xml": ".svg",
    "image/tiff": ".tiff",
    "image/webp": ".webp",
    "model/gltf+json": ".gltf",
    "model/gltf-binary": ".glb",
    "model/obj": ".obj",
    "model/stl": ".stl",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/plain": ".txt",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
}

_BY_EXTENSION = {extension: media_type for media_type, extension in EXTENSIONS.items()}

# Each alternative is a list of (offset, bytes) that all have to be there. Types without a fixed beginning are absent.
_BEGINNINGS: Mapping[str, tuple[tuple[tuple[int, bytes], ...], ...]] = {
    "application/gzip": (((0, b"\x1f\x8b"),),),
    "application/pdf": (((0, b"%PDF-"),),),
    "application/x-npy": (((0, b"\x93NUMPY"),),),
    "application/x-npz": (((0, b"PK\x03\x04"),), ((0, b"PK\x05\x06"),)),
    "application/x-ply": (((0, b"ply"),),),
    "application/zip": (((0, b"PK\x03\x04"),), ((0, b"PK\x05\x06"),)),
    "audio/wav": (((0, b"RIFF"), (8, b"WAVE")),),
    "image/avif": (((4, b"ftypavif"),), ((4, b"ftypavis"),), ((4, b"ftypmif1"),)),
    "image/bmp": (((0, b"BM"),),),
    "image/gif": (((0, b"GIF87a"),), ((0, b"GIF89a"),)),
    "image/jpeg": (((0, b"\xff\xd8\xff"),),),
    "image/png": (((0, b"\x89PNG\r\n\x1a\n"),),),
    "image/tiff": (((0, b"II*\x00"),), ((0, b"MM\x00*"),), ((0, b"II+\x00"),), ((0, b"MM\x00+"),)),
    "image/webp": (((0, b"RIFF"), (8, b"WEBP")),),
    "model/gltf-binary": (((0, b"glTF"),),),
    "video/mp4": (((4, b"ftyp"),),),
    "video/webm": (((0, b"\x1a\x45\xdf\xa3"),),),
}

BEGINNING_BYTES = 16  # enough for every table entry


def essence(media_type: str) -> str:
    """`text/plain` of `Text/Plain; charset=utf-8`."""
    return media_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """application/json, text/json and every type with the suffix +json."""
    plain = essence(media_type)
    return plain in ("application/json", "text/json") or plain.endswith("+json")


def extension_of(media_type: str) -> str:
    """`.png`; `.bin` for a type that is not known here."""
    return EXTENSIONS.get(essence(media_type), ".bin")


def begins_as(media_type: str, beginning: bytes) -> bool:
    """False when bytes of this type would begin otherwise; True also for types without a fixed beginning."""
    alternatives = _BEGINNINGS.get(essence(media_type))
    if alternatives is None:
        return True
    return any(all(beginning[at : at + len(mark)] == mark for at, mark in marks) for marks in alternatives)


def media_type_of(file_name: str, beginning: bytes) -> str:
    """By a file's extension, unless its bytes begin otherwise; else by how they begin."""
    suffix = PurePosixPath(file_name).suffix.lower()
    by_name = _BY_EXTENSION.get(suffix) or mimetypes.guess_type(f"x{suffix}")[0]
    if by_name is not None and by_name not in UNSPECIFIC and begins_as(by_name, beginning):
        return by_name
    return type_by_beginning(beginning) or "application/octet-stream"


def type_by_beginning(beginning: bytes) -> str | None:
    """The first known type whose bytes begin like this."""
    return next((one for one in _BEGINNINGS if begins_as(one, beginning)), None)
