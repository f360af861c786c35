"""PNG's chunks, each with its checksum (PNG specification, 3rd edition, section 5)."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from seatrial.prove.limits import MIB, PNG_CHUNKS_MAX
from seatrial.prove.validate.containers.damage import Damaged, take

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def check_png(stream: BinaryIO, size_bytes: int) -> None:
    """Walk the chunks from IHDR to IEND.

    Raises:
        Damaged: no IHDR, IDAT or IEND, a chunk that is longer than the file, a checksum that does not match.
    """
    if take(stream, 8, "the signature") != SIGNATURE:
        raise Damaged("it does not begin as a PNG")
    seen: set[bytes] = set()
    for _ in range(PNG_CHUNKS_MAX):
        at = stream.tell()
        if at == size_bytes:
            raise Damaged("the file ends without an IEND chunk", offset=at)
        header = take(stream, 8, "a chunk's header")
        length, name = int.from_bytes(header[:4], "big"), header[4:]
        shown = name.decode("ascii", "replace")
        if not name.isalpha():
            raise Damaged(f"no chunk begins at byte {at}", offset=at)
        if at + 12 + length > size_bytes:
            missing = at + 12 + length - size_bytes
            raise Damaged(
                f"the file ends inside its {shown} chunk: {missing:,} bytes are missing", missing_bytes=missing
            )
        _check_sum(stream, name, length, shown, at)
        if not seen and name != b"IHDR":
            raise Damaged(f"the first chunk is {shown}, not IHDR")
        seen.add(name)
        if name == b"IEND":
            if b"IDAT" not in seen:
                raise Damaged("there is no IDAT chunk: the file holds no picture")
            return
    raise Damaged(f"it has more than {PNG_CHUNKS_MAX:,} chunks")


def _check_sum(stream: BinaryIO, name: bytes, length: int, shown: str, at: int) -> None:
    summed, left = zlib.crc32(name), length
    while left:
        piece = take(stream, min(left, MIB), f"chunk {shown}")
        summed = zlib.crc32(piece, summed)
        left -= len(piece)
    if summed != int.from_bytes(take(stream, 4, f"chunk {shown}"), "big"):
        raise Damaged(f"the checksum of the {shown} chunk at byte {at:,} does not match its bytes", offset=at)
