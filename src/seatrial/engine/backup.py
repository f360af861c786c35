"""Take a backup while serving: the database first, then every file that this copy of it names.

A backup is one tar stream. Its members are paths of a data folder; the last one, `backup.json`, says that it is whole.
While it is taken nothing is removed, so what the copied database names is still there when its turn comes.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import tarfile
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from seatrial import __version__
from seatrial.domain.errors import BACKUP_RUNNING, Busy
from seatrial.domain.limits import STREAM_CHUNK_BYTES
from seatrial.ports.backup import DatabaseCopier, Keeper, Member
from seatrial.ports.clock import Clock

DATABASE = "seatrial.db"
SEAL = "backup.json"
FORMAT = 1
_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup about to be sent: `size_bytes` of it, to the byte. Its stream has to be read to its end or closed."""

    size_bytes: int
    stream: AsyncIterator[bytes]


class BackupTaker:
    """Takes one backup at a time. `folder` is for the copy of the database while it is sent."""

    def __init__(
        self, database: DatabaseCopier, keepers: Sequence[Keeper], files: Sequence[Member], folder: Path, clock: Clock
    ) -> None:
        """`files` are small ones that go along if they are there."""
        self._database = database
        self._keepers = keepers
        self._files = files
        self._folder = folder
        self._clock = clock
        self._running = False

    async def take(self) -> Backup:
        """Begin a backup; its size is known before the first byte.

        Raises:
            Busy: another one is being taken.
            StoreUnavailable: the database cannot be copied.
        """
        if self._running:
            raise Busy(BACKUP_RUNNING, "A backup is being taken: one at a time.", retry_after_seconds=30)
        self._running = True
        cleanup = ExitStack()
        cleanup.callback(self._ended)
        try:
            for keeper in self._keepers:
                cleanup.enter_context(keeper.held())
            copy = self._folder / uuid.uuid4().hex
            cleanup.callback(shutil.rmtree, copy, ignore_errors=True)
            copy.mkdir(mode=0o700)
            await self._database.copy(copy / DATABASE)
            members = await self._members(copy)
            size_bytes = await asyncio.to_thread(_size_bytes, members)
        except BaseException:
            cleanup.close()
            raise
        return Backup(size_bytes, _sent(members, cleanup))

    async def _members(self, copy: Path) -> list[Member]:
        database = copy / DATABASE
        members = [Member(DATABASE, database)]
        members += [one for one in self._files if await asyncio.to_thread(_exists, one)]
        for keeper in self._keepers:
            members += await keeper.members(database)
        seal = {
            "format": FORMAT,
            "seatrial": __version__,
            "taken_at_ms": self._clock.now_ms(),
            "members": len(members),
        }
        (copy / SEAL).write_text(json.dumps(seal))
        return [*members, Member(SEAL, copy / SEAL)]

    def _ended(self) -> None:
        self._running = False


@dataclass(frozen=True, slots=True)
class _Entry:
    """A member as it is sent."""

    header: bytes
    size_bytes: int  # of the content; 0 for folders and links

    @property
    def padding(self) -> int:
        return -self.size_bytes % _BLOCK


def _exists(member: Member) -> bool:
    return member.path.exists()


def _entry(member: Member) -> _Entry:
    state = os.lstat(member.path)
    info = tarfile.TarInfo(member.name)
    info.mode, info.mtime = stat.S_IMODE(state.st_mode), int(state.st_mtime)
    if stat.S_ISDIR(state.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(state.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(member.path)  # noqa: PTH115 - the text as it is
    else:
        info.size = state.st_size
    return _Entry(info.tobuf(tarfile.PAX_FORMAT), info.size)


def _size_bytes(members: Sequence[Member]) -> int:
    entries = map(_entry, members)
    return sum(len(one.header) + one.size_bytes + one.padding for one in entries) + 2 * _BLOCK


async def _sent(members: Sequence[Member], cleanup: ExitStack) -> AsyncIterator[bytes]:
    with cleanup:
        for member in members:
            entry = await asyncio.to_thread(_entry, member)
            yield entry.header
            if entry.size_bytes:
                async for chunk in _content(member.path, entry.size_bytes):
                    yield chunk
                yield bytes(entry.padding)
        yield bytes(2 * _BLOCK)


async def _content(path: Path, size_bytes: int) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while size_bytes:
            chunk = await asyncio.to_thread(file.read, min(size_bytes, STREAM_CHUNK_BYTES))
            if not chunk:
                raise OSError(f"{path} became shorter while it was read")
            size_bytes -= len(chunk)
            yield chunk


class Damaged(Exception):
    """What should be a backup is none, or only a part of one."""


class Readable(Protocol):
    """All that a tar stream needs of a file."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to so many bytes; none at the end."""
        ...


def unpack(source: Readable, target: Path) -> dict[str, object]:
    """Unpack a backup into a folder that is there and empty; what its seal says. Blocking.

    Raises:
        Damaged: not a backup, not whole, or of a newer kind.
        OSError: the disk.
    """
    folders: list[tuple[Path, int]] = []
    count, last = 0, ""
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", source), mode="r|") as tar:
            for info in tar:
                _unpack_one(tar, info, target, folders)
                count, last = count + 1, info.name
    except tarfile.TarError as error:
        raise Damaged(f"it is no backup, or a part of one: {error}") from None
    if last != SEAL:
        raise Damaged("it is not whole: its end is missing")
    seal: dict[str, object] = json.loads((target / SEAL).read_text())
    if seal["format"] != FORMAT or seal["members"] != count - 1:
        raise Damaged(f"it has the format {seal['format']}, and {count - 1} of {seal['members']} members")
    (target / SEAL).unlink()
    for folder, mode in reversed(folders):
        folder.chmod(mode)
    return seal


def _unpack_one(tar: tarfile.TarFile, info: tarfile.TarInfo, target: Path, folders: list[tuple[Path, int]]) -> None:
    """One member, at a place that can only be inside the folder: it and its parents are none of the links before it."""
    parts = info.name.split("/")
    path = target.joinpath(*parts)
    outside = any(part in ("", ".", "..") for part in parts) or path.parent.resolve() != path.parent
    content = tar.extractfile(info) if info.isreg() else None
    if outside or path.is_symlink():
        raise Damaged(f"{info.name!r} would lie outside of the data folder")
    if info.isdir():
        path.mkdir(mode=0o700, parents=True)
        folders.append((path, info.mode & 0o777))
    elif info.issym():
        path.symlink_to(info.linkname)
    elif content is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("xb") as file:
            shutil.copyfileobj(content, file, STREAM_CHUNK_BYTES)
            file.flush()
            os.fchmod(file.fileno(), info.mode & 0o777)
            os.fsync(file.fileno())
    else:
        raise Damaged(f"{info.name!r} is neither a file nor a folder")
