"""One SQLite file as a backend of the database: how its connections are made, what their failures mean."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from seatrial.adapters.sql.migrate import migrate
from seatrial.domain.limits import DATABASE_BUSY_TIMEOUT_MS, DATABASE_CACHE_KIB
from seatrial.ports.job_store import StoreUnavailable

# Primary result codes that speak of the machine, not of the statement (https://sqlite.org/rescode.html).
_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}


class SqliteBackend:
    """`backend.Backend` on one file, which this process owns alone."""

    def __init__(self, path: Path) -> None:
        self._write_engine = sqlite_engine(path, "FULL", "IMMEDIATE")
        self._read_engine = sqlite_engine(path, "FULL", "DEFERRED")

    def migrate(self) -> None:
        """Make the file, or bring its tables up to date."""
        migrate(self._write_engine)

    def writer(self) -> Connection:
        """A connection whose transactions own the file from their beginning."""
        return self._write_engine.connect()

    def reader(self) -> Connection:
        """A connection whose transactions see one state."""
        return self._read_engine.connect()

    def begin(self, connection: Connection) -> None:
        """The file has one transaction at a time anyway."""

    def commit(self, connection: Connection) -> None:
        """On disk when this returns."""
        connection.commit()

    def goes_on(self, connection: Connection) -> bool:
        """False once SQLite itself has ended the transaction, as it does on some errors."""
        return raw(connection).in_transaction

    def unavailable(self, error: BaseException) -> StoreUnavailable | None:
        """See `as_unavailable`."""
        return as_unavailable(error)

    def refused(self, error: BaseException) -> None:
        """SQLite keeps every text."""

    def lost_race(self, error: BaseException) -> bool:
        """There is no other writer to lose against."""
        return False

    def uncommitted(self, error: BaseException) -> bool:
        """A file that was locked or full would be so again."""
        return False

    def close(self) -> None:
        """Nothing is held but connections."""


def sqlite_engine(path: Path, synchronous: Literal["FULL", "OFF"], begin: Literal["IMMEDIATE", "DEFERRED"]) -> Engine:
    """An engine for one file in WAL mode. Its connections may move between threads, one thread at a time."""
    engine = create_engine(
        f"sqlite+pysqlite:///{path}",
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "isolation_level": None},
    )

    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        for pragma in (
            f"busy_timeout = {DATABASE_BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            f"synchronous = {synchronous}",
            "foreign_keys = ON",
            "temp_store = MEMORY",
            f"cache_size = -{DATABASE_CACHE_KIB}",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    def open_transaction(connection: Connection) -> None:
        # The driver begins transactions late and by its own rules (isolation_level=None turns that off).
        raw(connection).execute(f"BEGIN {begin}").close()

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", open_transaction)
    return engine


def raw(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection."""
    driver: Any = connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - tells the type checker what the URL says
    return driver


def as_unavailable(error: BaseException) -> StoreUnavailable | None:
    """What the port calls this failure, if it is the machine's (locked, full, unreadable), else None."""
    if isinstance(error, StoreUnavailable):
        return error
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, sqlite3.Error):
        return None
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None or (code & 0xFF) not in _UNAVAILABLE:
        return None
    return StoreUnavailable(f"the database is not available: {cause} ({cause.sqlite_errorname})")
