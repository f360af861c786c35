"""Copies of the SQLite file: taken while it is in use, and made ready to be a database of their own.

SQLite's online backup copies all pages in one step here. In several steps it would begin anew after each write of
another connection, and never end on a busy server; one step only lets the write-ahead log grow meanwhile.
Source: https://sqlite.org/backup.html.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from seatrial.adapters.sql.copies import opened
from seatrial.adapters.sql.incarnation import renew_incarnation
from seatrial.adapters.sql.sqlite import sqlite_engine
from seatrial.domain.errors import BACKUP_ELSEWHERE, Conflict
from seatrial.ports.storage import StoreUnavailable


class SqliteCopier:
    """ports.backup.DatabaseCopier for one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def copy(self, target: Path) -> None:
        """See the port."""
        await asyncio.to_thread(self._copy, target)

    def _copy(self, target: Path) -> None:
        try:
            with closing(opened(self._path, "ro")) as source, closing(sqlite3.connect(target)) as copy:
                source.backup(copy, pages=-1)
                copy.execute("PRAGMA journal_mode = DELETE").close()  # a single file, whatever the source's mode
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database cannot be copied: {error}") from error


class DumpedElsewhere:
    """ports.backup.DatabaseCopier of a server whose database is PostgreSQL, which has tools of its own for that."""

    async def copy(self, target: Path) -> None:
        """Refuse.

        Raises:
            Conflict: always; says what to use.
        """
        raise Conflict(
            BACKUP_ELSEWHERE,
            "The database is PostgreSQL, which other servers may share: back it up with pg_dump or its own continuous "
            "archiving, and after that the data folder.",
            details={
                "remedy": "pg_dump first, then blobs, packages, weights, credentials.json, signing-key.pem, "
                "sealing-key and sns-certificate.pem; restore them together."
            },
        )


def begin_new_life(copy: Path) -> str:
    """Check a restored database and renew its incarnation; the new word. Blocking.

    Raises:
        sqlite3.DatabaseError: it is damaged.
    """
    with closing(opened(copy, "rw")) as connection:
        (said,) = connection.execute("PRAGMA quick_check").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(f"the database is damaged: {said}")
    engine = sqlite_engine(copy, "FULL", "IMMEDIATE")
    with engine.begin() as restored:
        word = renew_incarnation(restored)
    engine.dispose()
    return word
