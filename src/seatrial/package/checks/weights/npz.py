"""Is a `.npz` whole? Its directory stands at its end, and every array in it has a header."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator

from seatrial.package.checks.weights.npy import array_fault
from seatrial.package.finding import Finding
from seatrial.package.stored import NotHeld, StoredFile

ID = "npz"
REMEDY = "Save the arrays again, or copy the file again: compare its size with the source's."


def wants(file: StoredFile) -> bool:
    """By its name."""
    return file.suffix == ".npz" and file.size_bytes > 0


def check(file: StoredFile) -> Iterator[Finding]:
    """At most one error."""
    fault = _fault(file)
    if fault:
        yield Finding(ID, "error", f"{file.name} is no whole .npz: {fault}.", REMEDY, file.name)


def _fault(file: StoredFile) -> str | None:
    try:
        with zipfile.ZipFile(file.body) as archive:
            members = archive.infolist()
            if not members:
                return "it holds no array"
            for member in members:
                if member.filename.endswith(".npy") and (fault := _array_fault(archive, member)):
                    return f"{member.filename}: {fault}"
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, OSError, ValueError) as error:
        return f"{error}" if str(error) else "it is cut off"
    return None


def _array_fault(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str | None:
    try:
        with archive.open(member) as array:
            return array_fault(array, member.file_size)
    except NotHeld:
        return None  # it lies in the part of a big file that went by; the directory vouches for its size
