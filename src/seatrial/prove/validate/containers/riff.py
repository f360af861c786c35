"""RIFF's chunks: WAV and WebP (Multimedia Programming Interface and Data Specifications 1.0; RFC 2361, RFC 9649)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from seatrial.prove.limits import BOXES_MAX
from seatrial.prove.validate.containers.damage import Damaged, take

_FORMATS = {1: "PCM", 3: "float", 6: "A-law", 7: "µ-law", 0xFFFE: "extensible"}


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk: where its content begins, and how long it says it is."""

    name: bytes
    offset: int
    size_bytes: int


def riff_chunks(stream: BinaryIO, size_bytes: int, form: bytes) -> list[Chunk]:
    """All chunks of a RIFF file of this form (WAVE, WEBP).

    Raises:
        Damaged: another form, or a length that goes past the file's end.
    """
    head = take(stream, 12, "the RIFF header")
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != form:
        raise Damaged(f"it does not begin as RIFF {form.decode()}")
    told = int.from_bytes(head[4:8], "little")
    streamed = told in (0, 0xFFFFFFFF)  # written by a program that could not seek back
    if not streamed and told + 8 > size_bytes:
        missing = told + 8 - size_bytes
        raise Damaged(
            f"the header says {told + 8:,} bytes, the file has {size_bytes:,}: it is cut short", missing_bytes=missing
        )
    chunks: list[Chunk] = []
    at = 12
    while at + 8 <= size_bytes and (streamed or at + 8 <= told + 8) and len(chunks) < BOXES_MAX:
        stream.seek(at)
        name, size = struct.unpack("<4sI", take(stream, 8, "a chunk's header"))
        if size == 0xFFFFFFFF or (streamed and name == b"data" and size == 0):
            size = size_bytes - at - 8
        if at + 8 + size > size_bytes:
            missing = at + 8 + size - size_bytes
            shown = name.decode("latin-1")
            raise Damaged(f"the file ends inside chunk {shown!r}: {missing:,} bytes are missing", missing_bytes=missing)
        chunks.append(Chunk(name, at + 8, size))
        at += 8 + size + (size & 1)
    return chunks


@dataclass(frozen=True, slots=True)
class Wave:
    """A WAV file's format."""

    encoding: str
    channels: int
    sample_rate: int
    bits: int
    seconds: float


def read_wave(stream: BinaryIO, size_bytes: int) -> Wave:
    """A WAV file's format, its lengths checked.

    Raises:
        Damaged: no fmt or data chunk, figures that contradict each other, lengths past the file's end.
    """
    chunks = riff_chunks(stream, size_bytes, b"WAVE")
    form = next((one for one in chunks if one.name == b"fmt "), None)
    data = next((one for one in chunks if one.name == b"data"), None)
    if form is None or form.size_bytes < 16:
        raise Damaged("there is no fmt chunk of at least 16 bytes")
    if data is None:
        raise Damaged("there is no data chunk: the file holds no sound")
    stream.seek(form.offset)
    code, channels, rate, per_second, align, bits = struct.unpack("<HHIIHH", take(stream, 16, "the fmt chunk"))
    if not channels or not rate or not align:
        raise Damaged(f"the fmt chunk says {channels} channels at {rate} Hz, {align} bytes a frame")
    if code in (1, 3, 0xFFFE) and (align != channels * ((bits + 7) // 8) or per_second != rate * align):
        raise Damaged(
            f"the fmt chunk contradicts itself: {channels} channels of {bits} bits, but {align} bytes a frame"
        )
    if code in (1, 3, 0xFFFE) and data.size_bytes % align:
        raise Damaged(f"the last frame is not whole: {data.size_bytes:,} bytes of data in frames of {align}")
    seconds = data.size_bytes / per_second if per_second else 0.0
    return Wave(_FORMATS.get(code, f"format {code}"), channels, rate, bits, seconds)
