"""Weights on this machine's disks. They are copied: their owner may change the original."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from seatrial.adapters.weights.source import Opened, unfit

CHUNK_BYTES = 4 * 1024 * 1024


class FileSource:
    """A file, or with `folder` all files below a folder."""

    def __init__(self, path: Path, *, folder: bool) -> None:
        self._path = path
        self._folder = folder

    async def files(self) -> list[tuple[str, int | None]]:
        """See the protocol."""
        return await asyncio.to_thread(self._files)

    def _files(self) -> list[tuple[str, int | None]]:
        try:
            if self._folder and self._path.is_dir():
                paths = sorted(path for path in self._path.rglob("*") if path.is_file())
                return [(path.relative_to(self._path).as_posix(), path.stat().st_size) for path in paths]
            if not self._folder and self._path.is_file():
                return [("", self._path.stat().st_size)]
        except OSError as error:
            raise unfit(f"{self._path} cannot be read: {error.strerror}") from error
        kind = "folder" if self._folder else "file"
        raise unfit(f"There is no {kind} {self._path} on this server")

    @asynccontextmanager
    async def open(self, name: str, start: int, validator: str | None) -> AsyncIterator[Opened]:
        """See the protocol. The validator is size and time of change."""
        path = self._path / name if name else self._path
        try:
            body = await asyncio.to_thread(path.open, "rb")
        except OSError as error:
            raise unfit(f"{path} cannot be read: {error.strerror}") from error
        with body:
            state = path.stat()
            present = f"{state.st_size} {state.st_mtime_ns}"
            start = start if validator == present else 0
            body.seek(start)
            yield Opened(start, state.st_size, present, _chunks(body))


async def _chunks(body: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(body.read, CHUNK_BYTES):
        yield chunk


def path_of(uri: str, package: Path) -> Path:
    """The path of a `file://` URI or a bare path; a relative one is inside the package.

    Raises:
        Unproven: another host, or a relative path that leaves the package.
    """
    if uri.startswith("file:"):
        parts = urlsplit(uri)
        path = Path(unquote(parts.path))
        if parts.netloc not in ("", "localhost") or not path.is_absolute():
            raise unfit(f"{uri!r} is no file of this server", valid="file:///absolute/path")
        return path
    path = package / uri
    if not Path(uri).is_absolute() and not path.resolve().is_relative_to(package.resolve()):
        raise unfit(f"{uri!r} leaves the package")
    return path
