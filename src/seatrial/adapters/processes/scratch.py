"""A worker's own folder: its home, its temporary files, and the files of its jobs."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path


class Scratch:
    """`home`, `tmp` live as long as the worker; each job has a folder while it has files."""

    def __init__(self, folder: Path, remains: Path | None = None) -> None:
        """While there is a folder `remains`, what failed is kept, and goes there at the end."""
        self.folder = folder
        self._remains = remains
        self.home = folder / "home"
        self.tmp = folder / "tmp"
        self.root = folder / "root"  # an empty folder that the jail may need
        self._jobs = folder / "jobs"

    def make(self) -> None:
        """Make the folders, anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for one in (self.home, self.tmp, self.root, self._jobs):
            one.mkdir(parents=True)
        self.tmp.chmod(0o1777)

    def job(self, number: int) -> Path:
        """The folder for a job's files; it need not be there."""
        return self._jobs / str(number)

    async def remove_job(self, number: int) -> None:
        """Remove a job's files."""
        await asyncio.to_thread(shutil.rmtree, self.job(number), ignore_errors=True)

    async def remove_failed_job(self, number: int) -> None:
        """Remove the files of a job that failed, unless somebody wants to look at them."""
        if not self._is_wanted():
            await self.remove_job(number)

    async def remove(self) -> None:
        """Remove everything, or leave it to those who want to look, once no process uses it."""
        await asyncio.to_thread(self._leave)

    def _leave(self) -> None:
        if self._remains is not None and self._is_wanted():
            with contextlib.suppress(OSError):  # a full disk, say: then there is nothing to look at
                shutil.move(self.folder, self._remains / self.folder.name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_wanted(self) -> bool:
        return self._remains is not None and self._remains.is_dir()


def answer_file(folder: Path, name: str) -> Path | None:
    """The file that a worker put there as part of an answer; None if there is no such regular file."""
    path = folder / name
    inside = path.parent == folder and name not in {"", ".", ".."}
    return path if inside and path.is_file() and not path.is_symlink() else None
