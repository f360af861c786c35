"""GIF's blocks up to the trailer (GIF89a specification)."""

from __future__ import annotations

from typing import BinaryIO

from seatrial.prove.limits import BOXES_MAX
from seatrial.prove.validate.containers.damage import Damaged, take


def check_gif(stream: BinaryIO, size_bytes: int) -> None:
    """Walk the blocks from the header to the trailer.

    Raises:
        Damaged: the file ends before its trailer, or a block is of no known type.
    """
    head = take(stream, 13, "the header")
    if head[:6] not in (b"GIF87a", b"GIF89a"):
        raise Damaged("it does not begin as a GIF")
    _skip_colours(stream, head[10])
    for _ in range(BOXES_MAX):
        at = stream.tell()
        if at == size_bytes:
            raise Damaged("the file ends without a trailer", offset=at)
        kind = take(stream, 1, "a block")
        if kind == b"\x3b":
            return
        if kind == b"\x21":
            take(stream, 1, "an extension")
        elif kind == b"\x2c":
            _skip_colours(stream, take(stream, 9, "an image")[8])
            take(stream, 1, "an image")
        else:
            raise Damaged(f"no block begins at byte {at:,}", offset=at)
        _skip_sub_blocks(stream)
    raise Damaged(f"it has more than {BOXES_MAX:,} blocks")


def _skip_colours(stream: BinaryIO, packed: int) -> None:
    if packed & 0x80:
        take(stream, 3 << ((packed & 7) + 1), "a colour table")


def _skip_sub_blocks(stream: BinaryIO) -> None:
    while (length := take(stream, 1, "an image")[0]) != 0:
        take(stream, length, "an image")
