"""PLY's header, and whether as much follows as it says (Turk, The PLY Polygon File Format, 1994)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from seatrial.prove.limits import KIB
from seatrial.prove.validate.containers.damage import Damaged

HEADER_BYTES_MAX = 64 * KIB
_BYTES = {
    "char": 1, "uchar": 1, "int8": 1, "uint8": 1, "short": 2, "ushort": 2, "int16": 2, "uint16": 2, "int": 4,
    "uint": 4, "int32": 4, "uint32": 4, "float": 4, "float32": 4, "double": 8, "float64": 8,
}  # fmt: skip


@dataclass(slots=True)
class Element:
    """One kind of element: how many there are, and the least that each takes in a binary file."""

    name: str
    count: int
    bytes_min: int = 0


@dataclass(frozen=True, slots=True)
class Ply:
    """A PLY's header."""

    encoding: str
    elements: tuple[Element, ...]
    texture: str | None


def read_ply(stream: BinaryIO, size_bytes: int) -> Ply:
    """The header; what follows it is long enough for it.

    Raises:
        Damaged: no header, an element or property of no known form, fewer lines or bytes than it says.
    """
    encoding, texture, elements = "", None, list[Element]()
    if stream.readline(8).strip() != b"ply":
        raise Damaged("it does not begin as a PLY")
    while True:
        line = stream.readline(HEADER_BYTES_MAX)
        words = line.decode("latin-1").split()
        if not line.endswith(b"\n") or stream.tell() > HEADER_BYTES_MAX:
            raise Damaged("its header does not end")
        if words[:1] == ["end_header"]:
            break
        if words[:1] == ["format"] and len(words) == 3:
            encoding = words[1]
        elif words[:1] == ["comment"] and words[1:2] == ["TextureFile"]:
            texture = " ".join(words[2:])
        else:
            _declare(words, elements)
    if encoding not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise Damaged(f"its format is {encoding!r}")
    _check_length(stream, encoding, elements, size_bytes)
    return Ply(encoding, tuple(elements), texture)


def _declare(words: list[str], elements: list[Element]) -> None:
    if words[:1] == ["element"] and len(words) == 3 and words[2].isdigit() and len(words[2]) < 16:
        elements.append(Element(words[1], int(words[2])))
    elif words[:1] == ["property"] and elements and len(words) >= 3:
        kind = words[2] if words[1] == "list" else words[1]
        if kind not in _BYTES:
            raise Damaged(f"a property has the unknown type {kind!r}")
        elements[-1].bytes_min += _BYTES[kind]
    elif words[:1] not in ([], ["comment"], ["obj_info"]):
        raise Damaged(f"its header has the line {' '.join(words)[:80]!r}")


def _check_length(stream: BinaryIO, encoding: str, elements: list[Element], size_bytes: int) -> None:
    if encoding == "ascii":
        wanted = sum(one.count for one in elements)
        there, last = 0, b"\n"
        for last in stream:
            there += not last.isspace()
        if there < wanted:
            raise Damaged(f"the header says {wanted:,} elements, {there:,} lines are there", missing=wanted - there)
        return
    least, there = sum(one.count * one.bytes_min for one in elements), size_bytes - stream.tell()
    if there < least:
        raise Damaged(
            f"the header says at least {least:,} bytes of elements, {there:,} are there", missing=least - there
        )
