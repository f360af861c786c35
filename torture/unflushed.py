"""`python -m torture.unflushed WHAT serve …`: a build that leaves one flush out, to see that this is found out."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable

from seatrial.adapters.sql import sqlite
from seatrial.cli.main import main


def without_log() -> None:
    """SQLite commits without flushing its log."""
    build = sqlite.sqlite_engine
    sqlite.sqlite_engine = lambda path, synchronous, begin: build(path, "OFF", begin)


def without_files() -> None:
    """Blobs are written and not flushed."""
    _skip(stat.S_ISREG)


def without_folders() -> None:
    """Folders are not flushed after a file was made in them."""
    _skip(stat.S_ISDIR)


def _skip(which: Callable[[int], bool]) -> None:
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        if not which(os.fstat(descriptor).st_mode):
            flush(descriptor)

    os.fsync = fsync


BUILDS = {"log": without_log, "files": without_files, "folders": without_folders}

if __name__ == "__main__":
    BUILDS[sys.argv.pop(1)]()
    main()
