"""The regular files of a package, listed once for all checks."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from seatrial.package.archive import members_of


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file's name in the package, its path on disk, its size, and whether it may be executed."""

    name: str
    path: Path
    size_bytes: int
    executable: bool


def files_of(root: Path) -> tuple[ListedFile, ...]:
    """Every regular file, sorted by name; links and what is left out of packages are skipped. Blocking."""
    found = [
        ListedFile(name, root / name, state.st_size, bool(state.st_mode & 0o111))
        for name, state in members_of(root)
        if stat.S_ISREG(state.st_mode)
    ]
    return tuple(sorted(found, key=lambda one: one.name))
