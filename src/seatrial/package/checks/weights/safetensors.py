"""Is a safetensors file whole? Its header says where every tensor lies.

Format: huggingface/safetensors, "Format": 8 bytes little-endian header size, a JSON header, the tensors without gaps.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import prod
from typing import Any

from seatrial.domain.limits import WEIGHTS_HEADER_BYTES_MAX
from seatrial.package.finding import Finding
from seatrial.package.stored import StoredFile

ID = "safetensors"
REMEDY = "Copy or download the file again: compare its size and SHA-256 with the source's."
ELEMENT_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 8),
}


def wants(file: StoredFile) -> bool:
    """By its name."""
    return file.suffix == ".safetensors" and file.size_bytes > 0


def check(file: StoredFile) -> Iterator[Finding]:
    """At most one error: the first thing that a reader would trip over."""
    fault = _fault(file)
    if fault:
        yield Finding(ID, "error", f"{file.name} is no whole safetensors file: {fault}.", REMEDY, file.name)


def _fault(file: StoredFile) -> str | None:
    header_bytes = int.from_bytes(file.at(0, 8), "little")
    if file.size_bytes < 8 or header_bytes > WEIGHTS_HEADER_BYTES_MAX:
        return f"its first 8 bytes say that the header has {header_bytes} bytes"
    if 8 + header_bytes > file.size_bytes:
        return f"its header has {header_bytes} bytes, the file only {file.size_bytes}"
    try:
        header = json.loads(file.at(8, header_bytes))
    except (ValueError, RecursionError):
        return "its header is no JSON"
    if not isinstance(header, dict):
        return "its header is no JSON object"
    end = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            fault, stop = _tensor(name, tensor)
            if fault:
                return fault
            end = max(end, stop)
    there = file.size_bytes - 8 - header_bytes
    if end > there:
        return f"its tensors need {end} bytes and {there} are there: it is cut off"
    return f"{there - end} bytes follow its last tensor" if end < there else None


def _tensor(name: str, tensor: Any) -> tuple[str | None, int]:
    """What is wrong with one entry, and where its bytes end."""
    try:
        start, stop = tensor["data_offsets"]
        elements = prod(tensor["shape"])
        size = ELEMENT_BYTES.get(tensor["dtype"])
        if not 0 <= start <= stop or elements < 0:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        return f"the entry of tensor {name!r} is damaged", 0
    if size is not None and elements * size != stop - start:
        return f"tensor {name!r} has {stop - start} bytes where its shape needs {elements * size}", 0
    return None, stop
