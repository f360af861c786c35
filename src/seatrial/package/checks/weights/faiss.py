"""Is a FAISS index what it says, and is a flat one whole?

Format: facebookresearch/faiss `index_write.cpp`: a four-letter kind, then dimension, number of vectors, two constants,
`is_trained` and the metric; a flat index goes on with the count of its 4-byte values and the values.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from seatrial.package.finding import Finding
from seatrial.package.stored import StoredFile

ID = "faiss"
SUFFIXES = (".index", ".faiss", ".ivf")
REMEDY = "Write the index again with faiss.write_index, or copy the file again: compare its size with the source's."
FLAT = (b"IxF2", b"IxFI", b"IxFl")
KINDS = (b"Ix", b"Iw", b"Iv", b"IH", b"IN", b"IB", b"Il", b"IS", b"IR", b"Im")
HEADER = struct.Struct("<4siqqq?i")
CONSTANT = 1 << 20
DIMENSIONS_MAX = 1 << 24


def wants(file: StoredFile) -> bool:
    """By its name, unless something else than FAISS writes such files."""
    return file.suffix in SUFFIXES and file.size_bytes > 0 and (file.suffix != ".index" or _looks_like_one(file))


def check(file: StoredFile) -> Iterator[Finding]:
    """At most one error."""
    fault = _fault(file)
    if fault:
        yield Finding(ID, "error", f"{file.name} is no whole FAISS index: {fault}.", REMEDY, file.name)


def _looks_like_one(file: StoredFile) -> bool:
    """`.index` is a name that others use too, TensorFlow among them."""
    return "faiss" in file.name.lower() or file.at(0, 4)[:2] in KINDS


def _fault(file: StoredFile) -> str | None:
    head = file.at(0, HEADER.size)
    if head[:2] not in KINDS:
        return f"it begins with {head[:4]!r}"
    if len(head) < HEADER.size:
        return f"it ends within its header, after {file.size_bytes} bytes"
    kind, dimension, vectors, first, _, _, metric = HEADER.unpack(head)
    if first != CONSTANT:
        return None  # a kind whose header is another one, such as a map or a binary index
    if not 0 < dimension <= DIMENSIONS_MAX or vectors < 0:
        return f"its header says {vectors} vectors of {dimension} dimensions"
    if kind not in FLAT:
        return None
    at = HEADER.size + (4 if metric > 1 else 0)
    values = int.from_bytes(file.at(at, 8), "little")
    there = file.size_bytes - at - 8
    if values != dimension * vectors:
        return f"it holds {values} values where {vectors} vectors of {dimension} dimensions need {dimension * vectors}"
    return f"its vectors need {4 * values} bytes and {there} are there: it is cut off" if there < 4 * values else None
