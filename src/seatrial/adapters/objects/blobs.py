"""Blobs: immutable files with random names, durable before anybody can name them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import stat
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from seatrial.domain.limits import ROW_INLINE_BYTES_MAX, STREAM_CHUNK_BYTES
from seatrial.domain.objects import Sealed
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.object_store import TooLarge
from seatrial.ports.storage import as_unavailable

T = TypeVar("T")

_THREADS = 16  # an fsync waits for the disk, not for the processor
_RUN_CHARS = 8
_BLOB = re.compile(r"[0-9a-f]{32}")


def sealed_inline(body: bytes) -> Sealed:
    """Small bytes as they will lie in the database's row."""
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return Sealed(len(body), hashlib.sha256(body).hexdigest(), etag, inline=body)


def blob_place(blob: str) -> str:
    """The path of a blob in its folder."""
    if not _BLOB.fullmatch(blob):
        raise ValueError(f"{blob!r} is not the id of a blob")
    return f"{blob[_RUN_CHARS : _RUN_CHARS + 2]}/{blob}"


class BlobFiles:
    """A folder of blobs, `xx/<id>`. All file work happens in threads; memory holds about 2 MiB of each stream.

    The first 8 characters of an id are the random word of the server run that made it. So a sweep tells what
    earlier runs left behind from what this run is still working on, without trusting any clock.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._run_word = secrets.token_hex(_RUN_CHARS // 2)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")

    async def keep(self, body: AsyncIterator[bytes], limit_bytes: int) -> Sealed:
        """Make a stream durable: in a file, or inline when it is small.

        Raises:
            TooLarge: more than limit_bytes came. Nothing is kept then, nor when the stream itself raises.
            StoreUnavailable: the disk is full or broken; nothing is kept.
        """
        writer = self._writer(limit_bytes)
        try:
            async for batch in _batches(body):
                if writer.stays_inline(batch):
                    writer.write(batch)
                else:
                    await self._run(partial(writer.write, batch))
            return await self._run(writer.seal) if writer.has_file else writer.seal()
        except (Exception, asyncio.CancelledError):
            await self._run(writer.abandon)
            raise

    async def keep_file(self, source: Path, limit_bytes: int) -> Sealed:
        """Copy a regular file.

        Raises:
            TooLarge: it is longer than limit_bytes.
            OSError: it cannot be read, or is a link, a device or a pipe.
        """
        writer = self._writer(limit_bytes)
        return await self._run(lambda: _copy(source, writer))

    async def open(self, blob: str, start: int, length: int) -> BlobChunks:
        """Open a part of a blob; it stays readable when the file is removed. Raises FileNotFoundError."""
        path = self.path(blob)
        descriptor = await self._run(lambda: os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        return BlobChunks(descriptor, start, length, self._threads)

    def path(self, blob: str) -> Path:
        """The file of a blob."""
        return self._folder / blob_place(blob)

    async def remove(self, blobs: Sequence[str]) -> None:
        """Remove files; those already gone are no error."""
        await self._run(partial(_remove, [self.path(blob) for blob in blobs]))

    async def trial(self) -> str:
        """Write one small blob that nobody asked for; its id. Raises StoreUnavailable."""
        writer = self._writer(STREAM_CHUNK_BYTES)
        try:
            await self._run(partial(writer.write, bytes(ROW_INLINE_BYTES_MAX + 1)))
            await self._run(writer.seal)
        except BaseException:
            await self._run(writer.abandon)
            raise
        return writer.blob

    async def left_by_earlier_runs(self, batch: int) -> AsyncIterator[list[str]]:
        """Ids of blobs that this run did not make, at most `batch` at a time."""
        for folder in await self._run(lambda: sorted(self._folder.iterdir())):
            names = await self._run(partial(os.listdir, folder))
            old = [name for name in names if _BLOB.fullmatch(name) and not name.startswith(self._run_word)]
            for at in range(0, len(old), batch):
                yield old[at : at + batch]

    def close(self) -> None:
        """Wait for the threads."""
        self._threads.shutdown()

    def _writer(self, limit_bytes: int) -> BlobWriter:
        blob = self._run_word + secrets.token_hex((32 - _RUN_CHARS) // 2)
        return BlobWriter(self.path(blob), limit_bytes)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            trouble = as_unavailable(error)
            if trouble is None:
                raise
            raise trouble from error


class BlobWriter:
    """Writes one blob, hashing on the way. Used from one thread at a time; `abandon` waits for the other."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._small = bytearray()
        self._descriptor = -1
        self._size_bytes = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._lock = threading.Lock()

    @property
    def blob(self) -> str:
        """The id of the blob."""
        return self._path.name

    @property
    def has_file(self) -> bool:
        """More came than a row holds."""
        return self._descriptor >= 0

    def stays_inline(self, data: bytes) -> bool:
        """True while writing this touches no file."""
        return not self.has_file and self._size_bytes + len(data) <= ROW_INLINE_BYTES_MAX

    def write(self, data: bytes) -> None:
        """Append. Raises TooLarge."""
        with self._lock:
            self._size_bytes += len(data)
            if self._size_bytes > self._limit_bytes:
                raise TooLarge(f"more than {self._limit_bytes} bytes")
            self._sha256.update(data)
            self._md5.update(data)
            if not self.has_file and self._size_bytes <= ROW_INLINE_BYTES_MAX:
                self._small += data
                return
            if not self.has_file:
                self._descriptor = _create(self._path)
                _write_all(self._descriptor, self._small)
            _write_all(self._descriptor, data)

    def seal(self) -> Sealed:
        """Flush file and folder to the disk; from here on the bytes are durable."""
        with self._lock:
            etag, sha256 = self._md5.hexdigest(), self._sha256.hexdigest()
            if not self.has_file:
                return Sealed(self._size_bytes, sha256, etag, inline=bytes(self._small))
            os.fsync(self._descriptor)
            self._close()
            reached(CrashPoint.STAGE_FILE_WRITTEN)
            _flush_folder(self._path.parent)
            return Sealed(self._size_bytes, sha256, etag, blob=self._path.name)

    def abandon(self) -> None:
        """Remove what was written."""
        with self._lock:
            if self.has_file:
                self._close()
            self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1


class BlobChunks:
    """The bytes of an open blob in chunks of at most 1 MiB; closes itself at the end, or when dropped."""

    def __init__(self, descriptor: int, start: int, length: int, threads: ThreadPoolExecutor) -> None:
        self._descriptor = descriptor
        self._at = start
        self._end = start + length
        self._threads = threads
        self._close = weakref.finalize(self, os.close, descriptor)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        wanted = min(STREAM_CHUNK_BYTES, self._end - self._at)
        if wanted <= 0 or not self._close.alive:
            self._close()
            raise StopAsyncIteration
        loop = asyncio.get_running_loop()
        try:
            data = await loop.run_in_executor(self._threads, os.pread, self._descriptor, wanted, self._at)
        except OSError as error:
            trouble = as_unavailable(error)
            if trouble is None:
                raise
            raise trouble from error
        if not data:
            self._close()
            raise OSError(f"a blob ended {self._end - self._at} bytes early")
        self._at += len(data)
        return data

    async def aclose(self) -> None:
        """Read no further."""
        self._close()


async def _batches(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of about 1 MiB, so that threads are asked rarely."""
    pieces: list[bytes] = []
    size_bytes = 0
    async for piece in body:
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes >= STREAM_CHUNK_BYTES:
            yield b"".join(pieces)
            pieces, size_bytes = [], 0
    if pieces:
        yield b"".join(pieces)


def _copy(source: Path, writer: BlobWriter) -> Sealed:
    # Not following a link and not waiting for a pipe: the path may come from a worker.
    descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{source} is not a regular file")
        while data := os.read(descriptor, STREAM_CHUNK_BYTES):
            writer.write(data)
        return writer.seal()
    except Exception:
        writer.abandon()
        raise
    finally:
        os.close(descriptor)


def _create(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700)
        _flush_folder(path.parent.parent)
    except FileExistsError:
        pass  # made by an earlier blob
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _write_all(descriptor: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
