"""STL: is it as long as it says? (3D Systems, StereoLithography Interface Specification, 1988)"""

from __future__ import annotations

from typing import BinaryIO

from seatrial.prove.validate.containers.damage import Damaged, take

HEADER_BYTES, TRIANGLE_BYTES = 84, 50
TAIL_BYTES = 256


def check_stl(stream: BinaryIO, size_bytes: int) -> None:
    """Raises Damaged when a binary file's length does not fit its triangles, or a text has no end."""
    head = stream.read(HEADER_BYTES)
    told = HEADER_BYTES + TRIANGLE_BYTES * int.from_bytes(head[80:84], "little")
    if len(head) == HEADER_BYTES and told == size_bytes:
        return
    if not head.lstrip().startswith(b"solid"):
        raise Damaged(f"the header says {told:,} bytes, the file has {size_bytes:,}", told_bytes=told)
    stream.seek(max(0, size_bytes - TAIL_BYTES))
    if b"endsolid" not in take(stream, min(size_bytes, TAIL_BYTES), "the text"):
        raise Damaged("the text does not end with 'endsolid': it is cut short")
