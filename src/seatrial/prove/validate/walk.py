"""Which files to look at: those named, and in folders those of a kind that has checks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.prove.validate.content import Content
from seatrial.prove.validate.kinds import KNOWN_EXTENSIONS, Kind, kind_of


@dataclass(slots=True)
class Found:
    """Files in the order of the arguments, folders' by name; `skipped` are files in folders that no check knows."""

    files: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)


def find_outputs(paths: Iterable[Path]) -> Found:
    """A file is taken as it is, even one that is not there; a folder is searched with all below it.

    Hidden files and folders are left out, and links to folders are not followed.
    """
    found = Found()
    for path in paths:
        if not path.is_dir():
            found.files.append(path)
            continue
        for file in _files_below(path):
            (found.files if _is_known(file) else found.skipped).append(file)
    return found


def _files_below(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(where, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _is_known(file: Path) -> bool:
    """By its extension; the bytes of those without one are looked at."""
    if file.suffix:
        return file.suffix.lower() in KNOWN_EXTENSIONS
    try:
        return kind_of(Content(str(file), file)) is not Kind.OTHER
    except OSError:
        return True  # `file.exists` says why it cannot be read
