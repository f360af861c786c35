"""Ogg's pages, with their checksums, up to the page that ends each stream (RFC 3533; Vorbis I, RFC 7845)."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import BinaryIO

from seatrial.prove.limits import OGG_PAGES_MAX, OGG_PAGES_SUMMED
from seatrial.prove.validate.containers.damage import Damaged, take

_HEADER_BYTES = 27
_BEGINS, _ENDS = 2, 4
_UNKNOWN = 0xFFFF_FFFF_FFFF_FFFF


@dataclass(slots=True)
class _Stream:
    head: bytes = b""
    granule: int = 0
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Ogg:
    """An Ogg's streams. The rate is 0 for what is neither Vorbis, Opus, FLAC nor Speex."""

    codec: str
    sample_rate: int
    channels: int
    seconds: float
    pages: int


def read_ogg(stream: BinaryIO, size_bytes: int) -> Ogg:
    """Walk all pages.

    Raises:
        Damaged: something between pages, an end inside a page, a stream without its last page, a wrong checksum.
    """
    streams: dict[int, _Stream] = {}
    last: deque[int] = deque(maxlen=OGG_PAGES_SUMMED // 2)
    at = pages = 0
    while at < size_bytes:
        if pages >= OGG_PAGES_MAX:
            raise Damaged(f"it has more than {OGG_PAGES_MAX:,} pages")
        stream.seek(at)
        at_next = _page(stream, at, size_bytes, streams)
        if pages < OGG_PAGES_SUMMED // 2:
            _check_sum(stream, at, at_next)
        else:
            last.append(at)
        pages, at = pages + 1, at_next
    for start in last:
        stream.seek(start)
        _check_sum(stream, start, _page(stream, start, size_bytes, {}))
    if not streams:
        raise Damaged("there is no page in it")
    if not all(one.ended for one in streams.values()):
        raise Damaged("the page that ends the stream is missing: the file is cut short")
    return _told(next(iter(streams.values())), pages)


def _page(stream: BinaryIO, at: int, size_bytes: int, streams: dict[int, _Stream]) -> int:
    """Note what a page says; where the next one begins."""
    head = take(stream, _HEADER_BYTES, "a page's header")
    magic, version, flags, granule, serial, _, _, segments = struct.unpack("<4sBBQIIIB", head)
    if magic != b"OggS" or version != 0:
        raise Damaged(f"no page begins at byte {at:,}", offset=at)
    length = sum(take(stream, segments, "a page's header"))
    end = stream.tell() + length
    if end > size_bytes:
        raise Damaged(
            f"the file ends inside a page: {end - size_bytes} bytes are missing", missing_bytes=end - size_bytes
        )
    one = streams.setdefault(serial, _Stream())
    if flags & _BEGINS:
        one.head = stream.read(min(length, 64))
    if granule != _UNKNOWN:
        one.granule = max(one.granule, granule)
    one.ended = one.ended or bool(flags & _ENDS)
    return end


def _check_sum(stream: BinaryIO, start: int, end: int) -> None:
    stream.seek(start)
    page = bytearray(take(stream, end - start, "a page"))
    told = int.from_bytes(page[22:26], "little")
    page[22:26] = bytes(4)
    summed = 0
    for byte in page:
        summed = (summed << 8 & 0xFFFFFFFF) ^ _TABLE[summed >> 24 ^ byte]
    if summed != told:
        raise Damaged(f"the checksum of the page at byte {start:,} does not match its bytes", offset=start)


def _told(one: _Stream, pages: int) -> Ogg:
    head = one.head
    if head[:7] == b"\x01vorbis" and len(head) >= 16:
        rate, channels, codec, counted = int.from_bytes(head[12:16], "little"), head[11], "Vorbis", 0
    elif head[:8] == b"OpusHead" and len(head) >= 16:
        rate, channels, codec = 48_000, head[9], "Opus"  # granules always count at 48 kHz
        counted = int.from_bytes(head[10:12], "little")
    elif head[:5] == b"\x7fFLAC" and len(head) >= 30:
        packed = int.from_bytes(head[27:31], "big")
        rate, channels, codec, counted = packed >> 12, (packed >> 9 & 7) + 1, "FLAC", 0
    else:
        return Ogg("unknown", 0, 0, 0.0, pages)
    if not rate or not channels:
        raise Damaged(f"its {codec} header says {channels} channels at {rate} Hz")
    return Ogg(codec, rate, channels, max(0, one.granule - counted) / rate, pages)


def _table() -> list[int]:
    table = []
    for value in range(256):
        summed = value << 24
        for _ in range(8):
            summed = (summed << 1 ^ 0x04C11DB7 if summed & 0x80000000 else summed << 1) & 0xFFFFFFFF
        table.append(summed)
    return table


_TABLE = _table()
