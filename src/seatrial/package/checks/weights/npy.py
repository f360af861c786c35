"""Is a `.npy` whole? Its header says how many bytes follow.

Format: NumPy enhancement proposal 1.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from math import prod
from typing import IO

from seatrial.package.finding import Finding
from seatrial.package.stored import StoredFile

ID = "npy"
MAGIC = b"\x93NUMPY"
HEADER_BYTES_MAX = 64 * 1024
LONG = re.compile(r"(\d)L\b")  # as Python 2 wrote numbers
CHARACTER_BYTES = {"U": 4}
REMEDY = "Save the array again, or copy the file again: compare its size with the source's."


def wants(file: StoredFile) -> bool:
    """By its name."""
    return file.suffix == ".npy" and file.size_bytes > 0


def check(file: StoredFile) -> Iterator[Finding]:
    """At most one error."""
    file.body.seek(0)
    fault = array_fault(file.body, file.size_bytes)
    if fault:
        yield Finding(ID, "error", f"{file.name} is no whole NumPy array: {fault}.", REMEDY, file.name)


def array_fault(body: IO[bytes], size_bytes: int) -> str | None:
    """What is wrong with the array of `size_bytes` that begins where `body` stands; only its header is read."""
    start = body.read(8)
    if start[:6] != MAGIC or len(start) < 8:
        return "it does not begin as one"
    length_bytes = 2 if start[6] == 1 else 4
    length = int.from_bytes(body.read(length_bytes), "little")
    if length > HEADER_BYTES_MAX:
        return f"its header claims {length} bytes"
    text = body.read(length)
    try:
        header = ast.literal_eval(LONG.sub(r"\1", text.decode("utf-8")))
        shape, kind = tuple(header["shape"]), header["descr"]
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError):
        return "its header is damaged"
    element = element_bytes(kind)
    if element is None:
        return None  # objects are pickled, records have rules of their own
    wanted = prod(shape) * element
    there = size_bytes - 8 - length_bytes - length
    return f"an array of shape {shape} needs {wanted} bytes and {there} are there" if wanted != there else None


def element_bytes(kind: object) -> int | None:
    """Bytes of one element of a simple type such as '<f4'; None for objects and records."""
    found = re.fullmatch(r"[<>|=]?([a-zA-Z])(\d+)(\[.*\])?", kind) if isinstance(kind, str) else None
    if found is None or found[1] == "O":
        return None
    return int(found[2]) * CHARACTER_BYTES.get(found[1], 1)
