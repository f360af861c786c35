"""The checksums of S3: CRC-32, CRC-32C, CRC-64/NVME, SHA-1 and SHA-256.

Source: the CRC parameters are those of the RevEng catalogue (CRC-32/ISCSI, CRC-64/NVME). CRC-32C and CRC-64/NVME
are computed by awscrt where it is installed (AWS's own SDKs use it), else here, eight bytes a step: correct, at
some 20 MB/s.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from struct import iter_unpack
from typing import Protocol

ALGORITHMS = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")
WHOLE_ONLY = frozenset({"crc64nvme"})  # has no checksum of checksums
_WIDTHS_BYTES = {"crc32": 4, "crc32c": 4, "crc64nvme": 8}
_POLYNOMIALS = {"crc32c": 0x82F63B78, "crc64nvme": 0x9A6C9329AC4BC9B5}  # reflected

Continue = Callable[[bytes, int], int]


class Checksum(Protocol):
    """Fed with bytes in order; the digest is big-endian, as S3 encodes it."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""
        ...

    def digest(self) -> bytes:
        """Of all bytes so far."""
        ...


def new_checksum(algorithm: str) -> Checksum:
    """A fresh checksum of one of ALGORITHMS."""
    if algorithm == "sha1":
        return hashlib.sha1(usedforsecurity=False)
    if algorithm == "sha256":
        return hashlib.sha256()
    return _Crc(_continue(algorithm), _WIDTHS_BYTES[algorithm])


def encoded(digest: bytes) -> str:
    """As it stands in a header: base64."""
    return base64.b64encode(digest).decode()


def of_parts(algorithm: str, digests: Iterable[str]) -> str:
    """The composite checksum of a multipart object: that of its parts' digests (base64), and their number."""
    checksum = new_checksum(algorithm)
    count = 0
    for digest in digests:
        checksum.update(base64.b64decode(digest))
        count += 1
    return f"{encoded(checksum.digest())}-{count}"


class _Crc:
    def __init__(self, step: Continue, width_bytes: int) -> None:
        self._step = step
        self._width_bytes = width_bytes
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width_bytes, "big")


@cache
def _continue(algorithm: str) -> Continue:
    """The function that continues a CRC over more bytes."""
    if algorithm == "crc32":
        return zlib.crc32
    try:
        native: Continue = getattr(import_module("awscrt.checksums"), algorithm)
    except ImportError:
        return _sliced(_POLYNOMIALS[algorithm], (1 << 8 * _WIDTHS_BYTES[algorithm]) - 1)
    return native


def _sliced(polynomial: int, ones: int) -> Continue:
    """A reflected CRC with all bits inverted before and after, by eight tables ("slicing by 8")."""
    t0, t1, t2, t3, t4, t5, t6, t7 = tables = _tables(polynomial)

    def step(data: bytes, value: int) -> int:
        crc = value ^ ones
        whole = len(data) & ~7
        for (word,) in iter_unpack("<Q", memoryview(data)[:whole]):
            word ^= crc  # noqa: PLW2901  # the register is mixed into the next eight bytes
            crc = (
                t7[word & 255]
                ^ t6[word >> 8 & 255]
                ^ t5[word >> 16 & 255]
                ^ t4[word >> 24 & 255]
                ^ t3[word >> 32 & 255]
                ^ t2[word >> 40 & 255]
                ^ t1[word >> 48 & 255]
                ^ t0[word >> 56]
            )
        for byte in data[whole:]:
            crc = tables[0][(crc ^ byte) & 255] ^ (crc >> 8)
        return crc ^ ones

    return step


def _tables(polynomial: int) -> list[list[int]]:
    first = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (polynomial if crc & 1 else 0)
        first.append(crc)
    tables = [first]
    for _ in range(7):
        tables.append([first[crc & 255] ^ crc >> 8 for crc in tables[-1]])
    return tables
