"""gzip (RFC 1952) to write: what does not shrink is stored, so that packing and reading it cost next to nothing.

A gzip file is members one after another, and each has a way of its own; every reader takes them for one stream.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import IO

from seatrial.domain.limits import STORED_BYTES_MIN

LEVEL = 6
STORED_LEVEL = 0
SHRINKS_TO_MIN = 0.75  # weights as floats come to 0.8 or 0.9, and would be inflated at 0.3 GB/s
SAMPLES = 3
SAMPLE_BYTES = 64 * 1024


class Gzipped:
    """A stream that is written as gzip members, each deflated or stored."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._level = LEVEL
        self._member = self._begin()
        self._position = 0

    def way_of(self, path: Path) -> None:
        """Deflate or store what follows, as the file there that it is does better."""
        level = STORED_LEVEL if _is_better_stored(path) else LEVEL
        if level != self._level:
            self._member.close()
            self._level = level
            self._member = self._begin()

    def write(self, data: bytes) -> int:
        """All of it."""
        self._position += len(data)
        return self._member.write(data)

    def tell(self) -> int:
        """Bytes written, before they were packed."""
        return self._position

    def close(self) -> None:
        """End the last member; the file stays open."""
        self._member.close()

    def _begin(self) -> gzip.GzipFile:
        return gzip.GzipFile(filename="", fileobj=self._packed, mode="wb", compresslevel=self._level, mtime=0)


def _is_better_stored(path: Path) -> bool:
    """Whether samples from all over the file hardly shrink."""
    size = path.stat().st_size
    if size < STORED_BYTES_MIN:
        return False
    with path.open("rb") as body:
        samples = [_sample(body, size * at // SAMPLES) for at in range(SAMPLES)]
    return sum(len(zlib.compress(one, LEVEL)) for one in samples) > SHRINKS_TO_MIN * sum(map(len, samples))


def _sample(body: IO[bytes], offset: int) -> bytes:
    return os.pread(body.fileno(), SAMPLE_BYTES, offset)
