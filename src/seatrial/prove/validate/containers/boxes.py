"""ISO base media files: MP4, MOV, M4A and AVIF (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from seatrial.prove.limits import BOXES_MAX, CHUNK_TABLE_ENTRIES_MAX, MIB
from seatrial.prove.validate.containers.damage import Damaged, take


@dataclass(frozen=True, slots=True)
class Box:
    """One box: where its content begins and ends."""

    name: bytes
    start: int
    stop: int

    @property
    def shown(self) -> str:
        """The name as text."""
        return self.name.decode("latin-1")


def boxes(stream: BinaryIO, start: int, stop: int) -> Iterator[Box]:
    """The boxes between two bytes.

    Raises:
        Damaged: a box is longer than what it lies in.
    """
    at = start
    for _ in range(BOXES_MAX):
        if at == stop:
            return
        stream.seek(at)
        size, name = struct.unpack(">I4s", take(stream, 8, "a box's header"))
        begin = at + 8
        if size == 1:
            size, begin = int.from_bytes(take(stream, 8, "a box's length"), "big"), at + 16
        end = stop if size == 0 else at + size
        box = Box(name, begin, end)
        if end < begin:
            raise Damaged(f"box {box.shown!r} at byte {at:,} says that it has {size} bytes", offset=at)
        if end > stop:
            missing = end - stop
            raise Damaged(
                f"the file ends inside box {box.shown!r}: {missing:,} bytes are missing", missing_bytes=missing
            )
        yield box
        at = end
    raise Damaged(f"it has more than {BOXES_MAX:,} boxes")


def check_boxes(stream: BinaryIO, size_bytes: int) -> None:
    """Walk the outermost boxes: each must end within the file.

    Raises:
        Damaged: it does not begin with `ftyp`, or a box goes past the end.
    """
    found = list(boxes(stream, 0, size_bytes))
    if not found or found[0].name != b"ftyp":
        raise Damaged("it does not begin with an ftyp box")
    if not any(one.name in (b"mdat", b"moov", b"idat") for one in found) and not any(
        one.name == b"meta" for one in found
    ):
        raise Damaged("there is no media in it")


@dataclass(frozen=True, slots=True)
class Movie:
    """What an MP4's headers say. Width and height are 0 without a picture track, the rate without a sound track."""

    seconds: float
    tracks: int
    width: int = 0
    height: int = 0
    sample_rate: int = 0


def read_movie(stream: BinaryIO, size_bytes: int) -> Movie:
    """An MP4's headers; every chunk of its tracks must lie within the file.

    Raises:
        Damaged: no moov, mdat or track, a box or a chunk past the end, a timescale of zero.
    """
    check_boxes(stream, size_bytes)
    outer = list(boxes(stream, 0, size_bytes))
    moov = next((one for one in outer if one.name == b"moov"), None)
    if moov is None:
        raise Damaged("there is no moov box: the recording was never finished")
    if not any(one.name == b"mdat" for one in outer):
        raise Damaged("there is no mdat box: the file holds no media")
    seconds, tracks, width, height, rate = 0.0, 0, 0, 0, 0
    for box in boxes(stream, moov.start, moov.stop):
        if box.name == b"mvhd":
            seconds = _duration(stream, box)
        elif box.name == b"trak":
            tracks += 1
            track = _track(stream, box, size_bytes)
            seconds = max(seconds, track.seconds)
            width, height, rate = max(width, track.width), max(height, track.height), max(rate, track.sample_rate)
    if tracks == 0:
        raise Damaged("the moov box holds no track")
    return Movie(seconds, tracks, width, height, rate)


def _track(stream: BinaryIO, trak: Box, size_bytes: int) -> Movie:
    seconds, width, height, rate = 0.0, 0, 0, 0
    for box in _below(stream, trak, (b"mdia", b"minf", b"stbl")):
        if box.name == b"tkhd":
            stream.seek(box.stop - 8)
            width, height = (one >> 16 for one in struct.unpack(">II", take(stream, 8, "a track header")))
        elif box.name == b"mdhd":
            seconds = _duration(stream, box)
        elif box.name == b"stsd":
            rate = _sample_rate(stream, box)
        elif box.name in (b"stco", b"co64"):
            _check_chunks(stream, box, 4 if box.name == b"stco" else 8, size_bytes)
    return Movie(seconds, 1, width, height, rate)


def _below(stream: BinaryIO, box: Box, opened: tuple[bytes, ...]) -> Iterator[Box]:
    """The boxes in a box, and those in the ones named, in their order."""
    for one in list(boxes(stream, box.start, box.stop)):
        yield one
        if one.name in opened:
            yield from _below(stream, one, opened)


def _duration(stream: BinaryIO, box: Box) -> float:
    stream.seek(box.start)
    wide = take(stream, 4, box.shown)[0] == 1
    take(stream, 16 if wide else 8, box.shown)
    scale, length = struct.unpack(">IQ" if wide else ">II", take(stream, 12 if wide else 8, box.shown))
    if scale == 0:
        raise Damaged(f"the {box.shown} box has a timescale of zero")
    unknown = length in (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
    return 0.0 if unknown else length / scale


def _sample_rate(stream: BinaryIO, box: Box) -> int:
    """Of a sound track, in Hz; else 0."""
    stream.seek(box.start)
    entry = stream.read(min(44, box.stop - box.start))
    if len(entry) < 44 or entry[12:16] not in (b"mp4a", b"Opus", b"alac", b"fLaC", b"ac-3"):
        return 0
    return int.from_bytes(entry[40:42], "big")


def _check_chunks(stream: BinaryIO, box: Box, width: int, size_bytes: int) -> None:
    stream.seek(box.start + 4)
    count = int.from_bytes(take(stream, 4, box.shown), "big")
    if count > CHUNK_TABLE_ENTRIES_MAX or box.start + 8 + count * width > box.stop:
        raise Damaged(f"the {box.shown} box says {count:,} chunks, more than it has room for")
    left = count
    while left:
        some = min(left, MIB)
        data = take(stream, some * width, box.shown)
        farthest = max(struct.unpack(f">{some}{'I' if width == 4 else 'Q'}", data))
        if farthest >= size_bytes:
            raise Damaged(f"a chunk of media lies at byte {farthest:,}, the file has {size_bytes:,}", offset=farthest)
        left -= some
