"""One server owns a data folder: SQLite's file must never have two."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from pathlib import Path
from typing import Self

_FILE = "server.lock"
_HOME_FILE = "home.id"


class DataFolderInUse(Exception):
    """Another server, `pid` (None: it did not say), owns the data folder."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        who = "another server" if pid is None else f"another server (process {pid})"
        super().__init__(f"{who} is running on {folder}; stop it first, or choose another data folder")
        self.folder = folder
        self.pid = pid


class DataFolderLock:
    """A context in which this process owns an existing folder. Also the end of the process ends it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Own the folder.

        Raises:
            DataFolderInUse: another process owns it, or this one by another lock.
            OSError: the folder cannot be written.
        """
        # Python opens with O_CLOEXEC, so a program that this one starts never holds the lock.
        descriptor = os.open(self._folder / _FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).strip()
            os.close(descriptor)
            raise DataFolderInUse(self._folder, int(owner) if owner.isdigit() else None) from None
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def home(self) -> str:
        """What names this folder among the servers that share a database; the owner's to ask.

        A copy of the folder, at another place or on another machine, is another home.
        """
        file = self._folder / _HOME_FILE
        if not file.exists():
            draft = file.with_suffix(".new")
            draft.write_text(secrets.token_hex(8))
            draft.replace(file)
        return f"{file.read_text()}:{socket.gethostname()}:{self._folder.resolve()}"

    def __exit__(self, *_: object) -> None:
        """Let the next server in. The file stays: removing it would let two processes lock two files."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
