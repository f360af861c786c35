"""FLAC: its stream header, and whether its last frame is the last one (RFC 9639)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from seatrial.prove.limits import FLAC_TAIL_BYTES
from seatrial.prove.validate.containers.damage import Damaged, take

_BLOCK_SIZES = {
    1: 192,
    **{code: 576 << (code - 2) for code in range(2, 6)},
    **{c: 256 << (c - 8) for c in range(8, 16)},
}


@dataclass(frozen=True, slots=True)
class Flac:
    """A FLAC's stream header."""

    sample_rate: int
    channels: int
    bits: int
    samples: int  # of each channel; 0: not known

    @property
    def seconds(self) -> float:
        """How long it plays; 0 when the header does not know."""
        return self.samples / self.sample_rate


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame's header: the number of its first sample, and how many samples it holds."""

    first: int
    samples: int


def read_flac(stream: BinaryIO, size_bytes: int) -> Flac:
    """The stream header; the last frame must be whole, and hold the last sample that the header tells of.

    Raises:
        Damaged: no stream header, metadata past the end, an end inside a frame, frames that are missing.
    """
    if take(stream, 4, "the marker") != b"fLaC":
        raise Damaged("it does not begin as a FLAC")
    info, blocks = None, 0
    while True:
        header = take(stream, 4, "a metadata block")
        length = int.from_bytes(header[1:], "big")
        if blocks == 0 and (header[0] & 0x7F != 0 or length < 34):
            raise Damaged("the first metadata block is no stream header")
        if stream.tell() + length > size_bytes:
            raise Damaged("the file ends inside its metadata")
        if blocks == 0:
            info = take(stream, 34, "the stream header")
            length -= 34
        stream.seek(length, 1)
        blocks += 1
        if header[0] & 0x80:
            break
    if info is None:
        raise Damaged("there is no stream header")
    packed = int.from_bytes(info[10:18], "big")
    flac = Flac(packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1, packed & (1 << 36) - 1)
    if flac.sample_rate == 0:
        raise Damaged("the stream header says 0 Hz")
    _check_end(stream, flac, int.from_bytes(info[:2], "big"), size_bytes)
    return flac


def _check_end(stream: BinaryIO, flac: Flac, block: int, size_bytes: int) -> None:
    first = stream.tell()
    stream.seek(max(first, size_bytes - FLAC_TAIL_BYTES))
    tail = stream.read(FLAC_TAIL_BYTES)
    if not tail:
        raise Damaged("there is no sound after the metadata")
    at = len(tail)
    while (at := max(tail.rfind(b"\xff\xf8", 0, at), tail.rfind(b"\xff\xf9", 0, at))) >= 0:
        frame = _frame(tail[at : at + 16], block)
        if frame is not None and _crc16(tail[at:-2]) == int.from_bytes(tail[-2:], "big"):
            end = frame.first + frame.samples
            if flac.samples and end < flac.samples:
                raise Damaged(
                    f"the header says {flac.samples:,} samples, the last frame ends at {end:,}",
                    missing=flac.samples - end,
                )
            return
    raise Damaged("the file ends inside a frame")


def _frame(head: bytes, block: int) -> _Frame | None:
    """The frame whose header begins here; None when none does (its checksum tells)."""
    if len(head) < 16:
        head = head.ljust(16, b"\0")
    size_code, rate_code = head[2] >> 4, head[2] & 15
    number, width = _coded_number(head[4:11])
    if not width:
        return None
    at = 4 + width
    if size_code == 6:
        samples, at = head[at] + 1, at + 1
    elif size_code == 7:
        samples, at = int.from_bytes(head[at : at + 2], "big") + 1, at + 2
    else:
        samples = _BLOCK_SIZES.get(size_code, 0)
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if not samples or at >= len(head) or _crc8(head[:at]) != head[at]:
        return None
    return _Frame(number if head[1] & 1 else number * block, samples)


def _coded_number(data: bytes) -> tuple[int, int]:
    """A number in UTF-8's manner of up to 36 bits, and its width in bytes; width 0: none."""
    lead = data[0]
    if lead < 0x80:
        return lead, 1
    width = 8 - (~lead & 0xFF).bit_length()
    if width < 2 or width > 7 or any(byte & 0xC0 != 0x80 for byte in data[1:width]):
        return 0, 0
    number = lead & (0x7F >> width)
    for byte in data[1:width]:
        number = number << 6 | byte & 0x3F
    return number, width


def _table(polynomial: int, bits: int) -> list[int]:
    top, mask, table = 1 << (bits - 1), (1 << bits) - 1, []
    for value in range(256):
        summed = value << (bits - 8)
        for _ in range(8):
            summed = (summed << 1 ^ polynomial if summed & top else summed << 1) & mask
        table.append(summed)
    return table


_TABLE8, _TABLE16 = _table(0x07, 8), _table(0x8005, 16)


def _crc8(data: bytes) -> int:
    summed = 0
    for byte in data:
        summed = _TABLE8[summed ^ byte]
    return summed


def _crc16(data: bytes) -> int:
    summed = 0
    for byte in data:
        summed = (summed << 8 & 0xFFFF) ^ _TABLE16[summed >> 8 ^ byte]
    return summed
