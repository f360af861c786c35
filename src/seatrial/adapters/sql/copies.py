"""What a copy of the SQLite file says, asked without taking part in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

_BLOBS = "SELECT DISTINCT blob, size_bytes, sha256 FROM objects WHERE blob IS NOT NULL ORDER BY blob"


@dataclass(frozen=True, slots=True)
class NamedBlob:
    """A blob that some name holds, and what its bytes have to be: SHA-256 in hexadecimal."""

    id: str
    size_bytes: int
    sha256: str


def opened(path: Path, mode: str) -> sqlite3.Connection:
    """A connection of its own; `mode` is "ro" or "rw". The file has to be there."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True)


def blobs_in(copy: Path) -> list[NamedBlob]:
    """The blobs that names held when the copy was made. Blocking."""
    with closing(opened(copy, "ro")) as connection:
        return [NamedBlob(*row) for row in connection.execute(_BLOBS)]
