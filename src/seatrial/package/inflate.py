"""gzip (RFC 1952) as a forward stream, several times as fast as the standard library's reader."""

from __future__ import annotations

import zlib
from typing import IO

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW_BITS = 31  # zlib's word for "with gzip's header and checksum"
PACKED_CHUNK_BYTES = 64 * 1024


class Inflated:
    """What a gzip file holds, its members one after another; zeros may pad its end."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._waiting = b""
        self._inflater = zlib.decompressobj(GZIP_WINDOW_BITS)
        self._inside = True  # a member has begun and not ended

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, fewer only at the end.

        Raises:
            EOFError: the file breaks off.
            zlib.error: it is damaged, or its checksum does not hold.
        """
        chunks: list[bytes] = []
        missing = size
        while missing > 0 and (chunk := self._some(missing)):
            chunks.append(chunk)
            missing -= len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _some(self, size: int) -> bytes:
        """At least one byte; none at the end."""
        while True:
            if not self._waiting:
                self._waiting = self._packed.read(PACKED_CHUNK_BYTES)
            if not self._inside and not self._begin_member():
                return b""
            if not self._waiting:
                raise EOFError("it breaks off")
            chunk = self._inflater.decompress(self._waiting, size)
            self._waiting = self._inflater.unconsumed_tail
            if self._inflater.eof:
                self._waiting = self._inflater.unused_data
                self._inside = False
            if chunk:
                return chunk

    def _begin_member(self) -> bool:
        """False at the end of the file."""
        while not (rest := self._waiting.lstrip(b"\0")):
            self._waiting = self._packed.read(PACKED_CHUNK_BYTES)
            if not self._waiting:
                return False
        self._waiting = rest
        self._inflater = zlib.decompressobj(GZIP_WINDOW_BITS)
        self._inside = True
        return True
