"""What the checks want to know of arrays, read in chunks: no array is ever held whole, and none is unpickled."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from seatrial.prove.limits import ARRAY_CHUNK_BYTES, ARRAY_HEADER_BYTES_MAX, ARRAY_MEMBERS_MAX
from seatrial.prove.validate.check import Subject, Unfit

_NUMBERS = "biufc"
_READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(slots=True)
class ArrayFigures:
    """One array. `norms` are least and greatest Euclidean norm of the vectors along the last axis, if they are vectors.

    `not_finite` counts NaN and infinite values. `least` and `greatest` are None for arrays that hold no real numbers.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    not_finite: int = 0
    least: float | None = None
    greatest: float | None = None
    norms: tuple[float, float] | None = None

    @property
    def count(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)


def read_arrays(subject: Subject) -> list[ArrayFigures]:
    """The array of an `.npy`, or all arrays of an `.npz`, read through to the end.

    Raises:
        Unfit: neither, a header that needs unpickling or does not fit its bytes, a damaged member, too many bytes.
    """
    with _reading(subject) as stream:
        if stream.read(4) == b"PK\x03\x04":
            return _members(subject, stream)
        stream.seek(0)
        return [_read(subject.content.short_name, stream, subject.content.size_bytes, subject.profile.array.bytes_max)]


@contextmanager
def _reading(subject: Subject) -> Iterator[IO[bytes]]:
    try:
        with subject.content.opened() as stream:
            yield stream
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        struct.error,
        OSError,
    ) as error:
        raise Unfit(f"Array file is damaged: {str(error) or type(error).__name__}") from None


def _members(subject: Subject, stream: IO[bytes]) -> list[ArrayFigures]:
    bytes_max = subject.profile.array.bytes_max
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        if not entries or len(entries) > ARRAY_MEMBERS_MAX:
            raise Unfit(f"Archive holds {len(entries):,} arrays (limit: 1 to {ARRAY_MEMBERS_MAX:,})")
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > bytes_max:
            raise Unfit(f"Arrays are too large unpacked ({unpacked:,} bytes, limit: {bytes_max:,})", bytes=unpacked)
        figures = []
        for entry in entries:
            if not entry.filename.endswith(".npy"):
                raise Unfit(f"Archive holds {entry.filename!r}, which is no array")
            with archive.open(entry) as member:
                figures.append(_read(entry.filename.removesuffix(".npy"), member, entry.file_size, bytes_max))
    return figures


def _read(name: str, stream: IO[bytes], size_bytes: int, bytes_max: int) -> ArrayFigures:
    shape, dtype, header_bytes = _header(name, stream)
    if dtype.hasobject:
        raise Unfit(f"Array {name!r} holds Python objects: it could only be read by unpickling, which runs code")
    values = math.prod(shape)
    told = values * dtype.itemsize
    if told > bytes_max:
        raise Unfit(f"Array {name!r} is too large ({told:,} bytes, limit: {bytes_max:,})", bytes=told)
    if told != size_bytes - header_bytes:
        there = size_bytes - header_bytes
        raise Unfit(
            f"Array {name!r} of {dtype.name} {list(shape)} needs {told:,} bytes, {there:,} are there",
            expected_bytes=told,
            bytes=there,
        )
    figures = ArrayFigures(name, dtype.name, shape)
    vectors = _Norms(shape[-1]) if dtype.kind in "fiu" and len(shape) in (1, 2) and shape[-1] else None
    for chunk in _chunks(name, stream, dtype, values):
        _add(figures, chunk)
        if vectors is not None:
            vectors.add(chunk)
    if vectors is not None:
        figures.norms = vectors.bounds
    return figures


def _header(name: str, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, type and the header's length."""
    try:
        version = npy.read_magic(stream)
        if version not in _READ_HEADER:
            raise Unfit(f"Array {name!r} has format version {version[0]}.{version[1]}")  # 3.0: field names, no numbers
        counted = _Counted(stream)
        shape, _, dtype = _READ_HEADER[version](counted, max_header_size=ARRAY_HEADER_BYTES_MAX)
    except Unfit:
        raise
    except Exception as error:  # noqa: BLE001 - numpy parses the header as a literal, which raises what it likes
        raise Unfit(f"Array {name!r} has no readable header: {error}") from None
    if any(length < 0 for length in shape):
        raise Unfit(f"Array {name!r} has a negative length in its shape {list(shape)}")
    return shape, dtype, npy.MAGIC_LEN + counted.count


class _Counted:
    """A stream that counts what is read of it, and refuses to read headers without end."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= ARRAY_HEADER_BYTES_MAX:
            raise ValueError(f"its header says that it has {size:,} bytes")
        data = self._stream.read(size)
        self.count += len(data)
        return data


def _chunks(name: str, stream: IO[bytes], dtype: np.dtype[Any], values: int) -> Iterator[NDArray[Any]]:
    left = values if dtype.itemsize else 0
    per_chunk = max(1, ARRAY_CHUNK_BYTES // max(1, dtype.itemsize))
    while left:
        count = min(left, per_chunk)
        data = stream.read(count * dtype.itemsize)
        if len(data) < count * dtype.itemsize:
            raise Unfit(f"Array {name!r} ends before its {values:,} values do")
        yield np.frombuffer(data, dtype=dtype)
        left -= count
    if stream.read(1):
        raise Unfit(f"Array {name!r} goes on after its {values:,} values")


def _add(figures: ArrayFigures, chunk: NDArray[Any]) -> None:
    if chunk.dtype.kind not in _NUMBERS:
        return
    if chunk.dtype.kind in "fc":
        finite = np.isfinite(chunk)
        figures.not_finite += int(chunk.size - np.count_nonzero(finite))
        chunk = chunk[finite]
    if chunk.dtype.kind == "c" or not chunk.size:
        return
    low, high = float(chunk.min()), float(chunk.max())
    figures.least = low if figures.least is None else min(low, figures.least)
    figures.greatest = high if figures.greatest is None else max(high, figures.greatest)


class _Norms:
    """Least and greatest norm of vectors that come in chunks which end anywhere."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._left = np.empty(0, dtype=np.float64)
        self.bounds: tuple[float, float] | None = None

    def add(self, chunk: NDArray[Any]) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.concatenate([self._left, chunk.astype(np.float64)])
            whole = len(values) // self._length * self._length
            self._left = values[whole:]
            if not whole:
                return
            norms = np.linalg.norm(values[:whole].reshape(-1, self._length), axis=1)
        low, high = float(norms.min()), float(norms.max())
        self.bounds = (low, high) if self.bounds is None else (min(low, self.bounds[0]), max(high, self.bounds[1]))
