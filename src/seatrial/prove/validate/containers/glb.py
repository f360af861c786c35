"""GLB's header and chunks (glTF 2.0 specification, section 4.4)."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from seatrial.prove.limits import JSON_BYTES_MAX
from seatrial.prove.validate.containers.damage import Damaged, take

# Compressions that need decoders of their own.
COMPRESSIONS = ("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression")


@dataclass(frozen=True, slots=True)
class Glb:
    """The document of a GLB, and where its binary chunk lies."""

    document: Mapping[str, Any]
    binary_start: int
    binary_stop: int

    @property
    def compression(self) -> str | None:
        """A compression without whose decoder the geometry cannot be read."""
        required = self.document.get("extensionsRequired")
        return next((one for one in COMPRESSIONS if isinstance(required, list) and one in required), None)


def read_glb(stream: BinaryIO, size_bytes: int) -> Glb:
    """The JSON document and the binary chunk's place.

    Raises:
        Damaged: another version, lengths that do not fit the file, a JSON chunk that does not parse.
    """
    magic, version, length = struct.unpack("<4sII", take(stream, 12, "the GLB header"))
    if magic != b"glTF":
        raise Damaged("it does not begin as a GLB")
    if version != 2:
        raise Damaged(f"it is glTF {version}; version 2 is read")
    if length != size_bytes:
        what = "it is cut short" if length > size_bytes else "more was written after its end"
        raise Damaged(f"the header says {length:,} bytes, the file has {size_bytes:,}: {what}", told_bytes=length)
    document, start, stop = None, size_bytes, size_bytes
    at = 12
    while at + 8 <= length:
        stream.seek(at)
        size, name = struct.unpack("<I4s", take(stream, 8, "a chunk's header"))
        if at + 8 + size > length:
            raise Damaged(f"chunk {name!r} at byte {at:,} goes past the file's end", offset=at)
        if name == b"JSON" and document is None:
            document = _document(take(stream, min(size, JSON_BYTES_MAX), "the JSON chunk"))
        elif name == b"BIN\x00" and start == size_bytes:
            start, stop = at + 8, at + 8 + size
        at += 8 + size
    if document is None:
        raise Damaged("there is no JSON chunk")
    return Glb(document, start, stop)


def _document(data: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"its JSON chunk does not parse: {error}") from None
    if not isinstance(document, dict):
        raise Damaged("its JSON chunk holds no object")
    return document
