"""Packages in folders of the data folder, named by the hash of their content, read-only.

A package is unpacked into a temporary folder beside its final place, flushed to disk, and renamed: a reader sees
all of it or nothing.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event

from seatrial.domain.endpoint import PackageRef
from seatrial.package.archive import members_of, open_package
from seatrial.package.digest import content_hash
from seatrial.ports.backup import Holds, Member

PACKAGES = "packages"  # their folder in a data folder
INCOMING = ".incoming-"


class FolderPackages:
    """The PackageStore of one server (see ports/packages.py), which alone owns `folder`."""

    def __init__(self, folder: Path) -> None:
        """Make the folder, and sweep away what a crash left half-written."""
        self._folder = folder
        self._holds = Holds()
        self._hashed: dict[str, tuple[object, str]] = {}  # by package: how its files looked, and what they hashed to
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(f"{INCOMING}*"):
            _remove(leftover)

    async def add(self, source: Path, label: str) -> PackageRef:
        """See the port. When this is cancelled, the work stops at the next chunk and cleans up after itself."""
        stop = Event()
        try:
            sha256 = await asyncio.to_thread(self._add, source, label, stop)
        except asyncio.CancelledError:
            stop.set()
            raise
        return PackageRef(sha256, label)

    def path(self, package: PackageRef) -> Path:
        """The unpacked root."""
        return self._folder / package.sha256

    async def content(self, package: PackageRef) -> str | None:
        """See the port. The bytes are read again only when some file's size, mode or time of change differs."""
        return await asyncio.to_thread(self._content, package.sha256)

    def _content(self, name: str) -> str | None:
        root = self._folder / name
        if not name or not root.is_dir():
            return None
        look = [
            (member, one.st_size, one.st_mode, one.st_mtime_ns, one.st_ctime_ns) for member, one in members_of(root)
        ]
        before = self._hashed.get(name)
        if before is None or before[0] != look:
            before = self._hashed[name] = (look, content_hash(root))
        return before[1]

    async def remove_unused(self, in_use: Collection[str], until_ms: int) -> int:
        """See the port."""
        return 0 if self._holds.any() else await asyncio.to_thread(self._remove_unused, in_use, until_ms)

    def _remove_unused(self, in_use: Collection[str], until_ms: int) -> int:
        idle = [
            package
            for package in self._folder.iterdir()
            if package.name not in in_use
            and not package.name.startswith(INCOMING)
            and package.stat().st_mtime_ns // 1_000_000 <= until_ms
        ]
        for package in idle:
            incoming = Path(tempfile.mkdtemp(prefix=INCOMING, dir=self._folder))
            package.rename(incoming / package.name)  # gone at once for whoever adds the same content now
            _remove(incoming)
        return len(idle)

    def held(self) -> AbstractContextManager[None]:
        """See ports.backup.Keeper."""
        return self._holds.held()

    async def members(self, database: Path) -> list[Member]:
        """See ports.backup.Keeper: every package, whichever versions still use it."""
        return await asyncio.to_thread(self._members)

    def _members(self) -> list[Member]:
        paths = [path for package in self._folder.iterdir() for path in [package, *sorted(package.rglob("*"))]]
        return [
            Member(f"{PACKAGES}/{path.relative_to(self._folder)}", path)
            for path in paths
            if not path.relative_to(self._folder).parts[0].startswith(INCOMING)
        ]

    def _add(self, source: Path, label: str, stop: Event) -> str:
        incoming = Path(tempfile.mkdtemp(prefix=INCOMING, dir=self._folder))
        try:
            open_package(source, incoming, stop, label)
            sha256 = content_hash(incoming)
            final = self._folder / sha256
            if final.exists():
                os.utime(final)  # used again
            else:
                _seal(incoming)
                _rename_unless_there(incoming, final)
            return sha256
        finally:
            _remove(incoming)


def _rename_unless_there(incoming: Path, final: Path) -> None:
    try:
        incoming.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return  # somebody else added the same content meanwhile
    _flush(final.parent)


def _seal(root: Path) -> None:
    """Make every file and folder read-only and durable, the deepest first."""
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o555 if path.stat().st_mode & 0o111 else 0o444)
                _flush(path)
        Path(folder).chmod(0o555)
        _flush(Path(folder))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(root: Path) -> None:
    """Remove a folder, read-only ones inside too; nothing there is fine."""
    if not root.exists():
        return
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755)
    shutil.rmtree(root)
