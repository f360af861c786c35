"""Where interpreters lie on a machine, whatever the one that a shell would choose."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

SYSTEM_FOLDERS = ("/usr/local/bin", "/usr/bin")
IN_HOME = (".pyenv/versions/*/bin", ".local/share/uv/python/*/bin")
SHIMS = "shims"  # of pyenv and asdf: scripts that run some other interpreter, or none
EXECUTABLE = re.compile(r"python(\d+(\.\d+)?)?")


def pythons_on_disk(environ: Mapping[str, str]) -> list[Path]:
    """What is named like an interpreter, each real file once; none of them was run. Blocking."""
    found: dict[Path, None] = {}
    for folder in _folders(environ):
        try:
            paths = [path for path in sorted(folder.iterdir()) if EXECUTABLE.fullmatch(path.name)]
        except OSError:  # not there, or not ours to read
            continue
        found |= {path.resolve(): None for path in paths if path.is_file() and os.access(path, os.X_OK)}
    return list(found)


def _folders(environ: Mapping[str, str]) -> Iterator[Path]:
    for entry in environ.get("PATH", "").split(os.pathsep):
        if Path(entry).is_absolute() and Path(entry).name != SHIMS:
            yield Path(entry)
    yield from map(Path, SYSTEM_FOLDERS)
    if home := environ.get("HOME"):
        for pattern in IN_HOME:
            yield from sorted(Path(home).glob(pattern))
