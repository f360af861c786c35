"""One file of a package while its bytes pass: in a folder, in a plain tar, or in a stream that is read once."""

from __future__ import annotations

import io
from collections import deque
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from seatrial.domain.limits import CHECKED_WINDOW_BYTES, STREAM_CHUNK_BYTES


class NotHeld(Exception):
    """That part of the file went by and was not kept."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file's name in the package, its size, and its bytes to seek in.

    Reading `body` may raise NotHeld where a stream holds only the beginning and the end of a big file.
    """

    name: str
    size_bytes: int
    body: IO[bytes]

    @property
    def suffix(self) -> str:
        """In lower case, with its dot."""
        return PurePosixPath(self.name).suffix.lower()

    def at(self, offset: int, size: int) -> bytes:
        """The bytes there, fewer only at the end of the file."""
        self.body.seek(offset)
        return self.body.read(size)


class Passing(io.RawIOBase):
    """A file that can only be read forward, to seek in: nothing is read of it before its head does not do.

    Then it is kept whole, or its two ends if it is big. `head` was read already, `rest` stands behind it.
    """

    def __init__(self, head: bytes, rest: IO[bytes], size_bytes: int) -> None:
        self._head = head
        self._rest = rest
        self._size_bytes = size_bytes
        self._position = 0
        self._tail = b""
        self._tail_at = len(head)
        self._is_read = False

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = self._size_bytes if size < 0 else min(self._position + size, self._size_bytes)
        start, self._position = self._position, max(end, self._position)
        if end > len(self._head):
            self._take()
        if end <= start:
            return b""
        if end <= len(self._head):
            return self._head[start:end]
        if start >= self._tail_at:
            return self._tail[start - self._tail_at : end - self._tail_at]
        raise NotHeld

    def _take(self) -> None:
        """Read the rest of the file, and keep what there is room for."""
        if self._is_read:
            return
        self._is_read = True
        is_big = self._size_bytes > 2 * CHECKED_WINDOW_BYTES
        end = CHECKED_WINDOW_BYTES if is_big else self._size_bytes
        self._head += _read(self._rest, end - len(self._head))
        tail: deque[bytes] = deque()
        tail_bytes = 0
        while is_big and (chunk := self._rest.read(STREAM_CHUNK_BYTES)):
            tail.append(chunk)
            tail_bytes += len(chunk)
            while tail_bytes - len(tail[0]) >= CHECKED_WINDOW_BYTES:
                tail_bytes -= len(tail.popleft())
        self._tail = b"".join(tail)
        self._tail_at = self._size_bytes - len(self._tail)


def _read(body: IO[bytes], size: int) -> bytes:
    """So many bytes, asked for in pieces."""
    chunks: list[bytes] = []
    while size > 0 and (chunk := body.read(min(size, STREAM_CHUNK_BYTES))):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)
