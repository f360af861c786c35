"""WebM and Matroska: EBML elements, each within what it lies in (RFC 8794, RFC 9559)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from seatrial.prove.limits import BOXES_MAX
from seatrial.prove.validate.containers.damage import Damaged, take

_HEADER, _SEGMENT, _INFO, _TRACKS, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_SCALE, _DURATION, _TRACK, _VIDEO, _AUDIO = 0x2AD7B1, 0x4489, 0xAE, 0xE0, 0xE1
_WIDTH, _HEIGHT, _RATE = 0xB0, 0xBA, 0xB5
_DEFAULT_SCALE = 1_000_000  # nanoseconds
_IN_CLUSTER = frozenset((0xE7, 0xA3, 0xA0, 0xA7, 0xAB, 0x5854, 0xBF, 0xEC))


@dataclass(frozen=True, slots=True)
class _Element:
    id: int
    start: int
    stop: int
    sized: bool  # False: its length is not told, it goes to the end of what it lies in


@dataclass(slots=True)
class Matroska:
    """What a WebM's headers say."""

    seconds: float = 0.0
    tracks: int = 0
    clusters: int = 0
    width: int = 0
    height: int = 0
    sample_rate: int = 0


def read_matroska(stream: BinaryIO, size_bytes: int) -> Matroska:
    """A WebM's headers; every element ends within the file.

    Raises:
        Damaged: no segment, track or cluster, or an element that goes past the end.
    """
    outer = list(_elements(stream, 0, size_bytes))
    if not outer or outer[0].id != _HEADER:
        raise Damaged("it does not begin as EBML")
    segment = next((one for one in outer if one.id == _SEGMENT), None)
    if segment is None:
        raise Damaged("there is no segment in it")
    told = Matroska()
    for one in _elements(stream, segment.start, segment.stop):
        if one.id == _INFO:
            told.seconds = _seconds(stream, one)
        elif one.id == _TRACKS:
            for track in _elements(stream, one.start, one.stop):
                if track.id == _TRACK:
                    _note_track(stream, track, told)
        elif one.id == _CLUSTER:
            told.clusters += 1
    if not told.tracks:
        raise Damaged("there is no track in it")
    if not told.clusters:
        raise Damaged("there is no cluster: the file holds no media")
    return told


def _elements(stream: BinaryIO, start: int, stop: int) -> Iterator[_Element]:
    at = start
    for _ in range(BOXES_MAX):
        if at >= stop:
            return
        stream.seek(at)
        name, _ = _number(stream, keep_marker=True)
        size, width = _number(stream, keep_marker=False)
        begin = stream.tell()
        sized = size != (1 << 7 * width) - 1
        end = begin + size if sized else stop
        if end > stop:
            raise Damaged(
                f"the file ends inside element {name:#x}: {end - stop:,} bytes are missing", missing_bytes=end - stop
            )
        if not sized and name == _CLUSTER:
            yield _Element(name, begin, stop, sized)
            at = _after_live_cluster(stream, begin, stop)
            continue
        yield _Element(name, begin, end, sized)
        at = end
    raise Damaged(f"it has more than {BOXES_MAX:,} elements")


def _after_live_cluster(stream: BinaryIO, start: int, stop: int) -> int:
    """Where a cluster of unknown length ends: before the first element that cannot lie in one."""
    at = start
    while at < stop:
        stream.seek(at)
        name, _ = _number(stream, keep_marker=True)
        if name not in _IN_CLUSTER:
            return at
        size, _ = _number(stream, keep_marker=False)
        at = stream.tell() + size
        if at > stop:
            raise Damaged(f"the file ends inside a block: {at - stop:,} bytes are missing", missing_bytes=at - stop)
    return stop


def _number(stream: BinaryIO, keep_marker: bool) -> tuple[int, int]:
    """A number of variable width, and its width in bytes."""
    at = stream.tell()
    lead = take(stream, 1, "an element's header")[0]
    width = 9 - lead.bit_length()
    if width > (4 if keep_marker else 8):
        raise Damaged(f"no element begins at byte {at:,}", offset=at)
    value = int.from_bytes(bytes([lead]) + take(stream, width - 1, "an element's header"), "big")
    return (value if keep_marker else value & (1 << 7 * width) - 1), width


def _whole(stream: BinaryIO, one: _Element) -> int:
    stream.seek(one.start)
    return int.from_bytes(take(stream, min(8, one.stop - one.start), "a number"), "big")


def _float(stream: BinaryIO, one: _Element) -> float:
    width = one.stop - one.start
    if width not in (4, 8):
        return 0.0
    stream.seek(one.start)
    return float(struct.unpack(">f" if width == 4 else ">d", take(stream, width, "a number"))[0])


def _seconds(stream: BinaryIO, info: _Element) -> float:
    scale, length = _DEFAULT_SCALE, 0.0
    for one in _elements(stream, info.start, info.stop):
        if one.id == _SCALE:
            scale = _whole(stream, one)
        elif one.id == _DURATION:
            length = _float(stream, one)
    return length * scale / 1e9


def _note_track(stream: BinaryIO, track: _Element, told: Matroska) -> None:
    told.tracks += 1
    for one in _elements(stream, track.start, track.stop):
        if one.id not in (_VIDEO, _AUDIO):
            continue
        for value in _elements(stream, one.start, one.stop):
            if value.id == _WIDTH:
                told.width = _whole(stream, value)
            elif value.id == _HEIGHT:
                told.height = _whole(stream, value)
            elif value.id == _RATE:
                told.sample_rate = int(_float(stream, value))
