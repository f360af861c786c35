"""Is a `.gguf` one? Format: ggml-org/ggml `docs/gguf.md`: magic, version, counts of tensors and of keys."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from seatrial.domain.limits import WEIGHTS_TENSORS_MAX
from seatrial.package.finding import Finding
from seatrial.package.stored import StoredFile

ID = "gguf"
REMEDY = "Copy or download the file again: compare its size and SHA-256 with the source's."
HEADER = struct.Struct("<4sIQQ")
VERSIONS = (1, 2, 3)


def wants(file: StoredFile) -> bool:
    """By its name."""
    return file.suffix == ".gguf" and file.size_bytes > 0


def check(file: StoredFile) -> Iterator[Finding]:
    """At most one error."""
    head = file.at(0, HEADER.size)
    fault = "it ends within its header"
    if len(head) == HEADER.size:
        magic, version, tensors, _ = HEADER.unpack(head)
        fault = ""
        if magic != b"GGUF":
            fault = f"it begins with {magic!r}"
        elif version not in VERSIONS or (version > 1 and tensors > WEIGHTS_TENSORS_MAX):
            fault = f"its header says version {version} and {tensors} tensors"
    if fault:
        yield Finding(ID, "error", f"{file.name} is no GGUF file: {fault}.", REMEDY, file.name)
