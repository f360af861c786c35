"""PostgreSQL as a backend of the database: how its connections are made, what its failures mean.

Several servers may share one database. Their transactions run at READ COMMITTED and lock the rows that they decide
upon (FOR UPDATE, SKIP LOCKED where anybody's row will do); whoever loses a race for a unique row runs again.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from seatrial.adapters.sql.announcing import announced
from seatrial.adapters.sql.failures import DatabaseUnusable
from seatrial.adapters.sql.migrate import migrate
from seatrial.domain.errors import INVALID_FIELD, BadInput
from seatrial.domain.limits import (
    DATABASE_BUSY_TIMEOUT_MS,
    DATABASE_CONNECT_SECONDS_MAX,
    DATABASE_IDLE_TRANSACTION_MS_MAX,
    DATABASE_STATEMENT_MS_MAX,
)
from seatrial.ports.job_store import StoreUnavailable

CHANNEL = "seatrial_queued"
_PAYLOAD_BYTES_MAX = 7_900  # PostgreSQL takes less than 8,000

_ALONE = text("SELECT pg_advisory_xact_lock(:lock)")
_NOTIFY = text("SELECT pg_notify(:channel, :payload)")

# SQLSTATE classes and codes that speak of the server, not of the statement
# (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_UNAVAILABLE = ("08", "53", "57", "58", "XX", "25006", "25P03", "40001", "40P01", "55P03")
_RUN_AGAIN = {"40001", "40P01"}  # serialization_failure, deadlock_detected
_TAKEN = "23505"  # unique_violation
_log = logging.getLogger(__name__)


class PostgresBackend:
    """`backend.Backend` on the database that a `postgresql://` URL names, as libpq reads it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = secrets.randbits(63)
        self._engine = create_engine("postgresql+psycopg://", poolclass=NullPool, creator=self._connect)
        self._readers = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def check(self) -> None:
        """Connect once, as a server does at its start.

        Raises:
            DatabaseUnusable: it cannot be reached, refuses the user, or does not exist; says what to do.
        """
        try:
            with psycopg.connect(self._url, connect_timeout=DATABASE_CONNECT_SECONDS_MAX) as connection:
                row = connection.execute("SELECT current_setting('fsync'), pg_is_in_recovery()").fetchone()
        except psycopg.Error as error:
            raise DatabaseUnusable(_why_not(self._url, error)) from None
        flushes, standby = row or ("on", False)
        if standby:
            raise DatabaseUnusable(f"{shown(self._url)} is a standby and takes no writes; name the primary")
        if flushes != "on":
            _log.warning("PostgreSQL runs with fsync=off: a power cut may lose accepted jobs")

    def migrate(self) -> None:
        """Bring the tables up to date while no other server does."""
        migrate(self._engine)

    def writer(self) -> Connection:
        """A connection of its own."""
        return self._engine.connect()

    def reader(self) -> Connection:
        """A connection whose transactions see one state and cannot write."""
        return self._readers.connect()

    def begin(self, connection: Connection) -> None:
        """One transaction of this server at a time, also when the connection of the one before was lost inside COMMIT.

        Else a repeated take would pass over the rows that its first run still holds, and never hear of them.
        """
        connection.execute(_ALONE, {"lock": self._lock})

    def commit(self, connection: Connection) -> None:
        """One NOTIFY at most goes out with it."""
        endpoints = announced(connection)
        if endpoints:
            connection.execute(_NOTIFY, {"channel": CHANNEL, "payload": _payload(endpoints)})
        connection.commit()

    def goes_on(self, connection: Connection) -> bool:
        """Also a failed transaction can go back to a savepoint, unless its connection is lost."""
        if connection.invalidated:
            return False
        status = _driver(connection).info.transaction_status
        return status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def unavailable(self, error: BaseException) -> StoreUnavailable | None:
        """Connections that are lost or refused, full disks, locks that others hold for too long."""
        if isinstance(error, StoreUnavailable):
            return error
        cause = _cause(error)
        if not isinstance(cause, psycopg.Error):
            return None
        state = cause.sqlstate
        if state is None and not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
            return None
        if state is not None and not state.startswith(_UNAVAILABLE):
            return None
        return StoreUnavailable(f"PostgreSQL is not available: {_first_line(cause)}")

    def refused(self, error: BaseException) -> BadInput | None:
        """A NUL character: PostgreSQL has none in its texts, and the driver says so before it asks."""
        cause = _cause(error)
        if not isinstance(cause, psycopg.DataError) or "NUL" not in str(cause):
            return None
        said = "A text of the request has a NUL character, which cannot be stored or looked for."
        return BadInput(INVALID_FIELD, said, field=_field_with_nul(error), valid="a text without NUL characters")

    def lost_race(self, error: BaseException) -> bool:
        """Another transaction made the unique row first."""
        return getattr(_cause(error), "sqlstate", None) == _TAKEN

    def uncommitted(self, error: BaseException) -> bool:
        """A deadlock, or a connection that broke (the server was restarted, a firewall forgot it)."""
        cause = _cause(error)
        if getattr(cause, "sqlstate", None) in _RUN_AGAIN:
            return True
        return isinstance(error, DBAPIError) and error.connection_invalidated

    def close(self) -> None:
        """Nothing is held but connections."""
        self._engine.dispose()

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(
            self._url, connect_timeout=DATABASE_CONNECT_SECONDS_MAX, application_name="seatrial", autocommit=True
        )
        try:
            for name, value in _SETTINGS.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
            connection.execute(_DURABLE)
            connection.autocommit = False
        except BaseException:
            connection.close()
            raise
        return connection


_SETTINGS: dict[str, str | int] = {
    "default_transaction_isolation": "read committed",
    "lock_timeout": DATABASE_BUSY_TIMEOUT_MS,
    "statement_timeout": DATABASE_STATEMENT_MS_MAX,
    # A server that is stopped in the middle of a transaction must not hold its locks against the others.
    "idle_in_transaction_session_timeout": DATABASE_IDLE_TRANSACTION_MS_MAX,
    # Plans are kept for as long as a connection; one made while the queue was short would walk a long one.
    "enable_seqscan": "off",
    "TimeZone": "UTC",
}
# Accepted means durable, whatever the database's default says.
_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"


def shown(url: str) -> str:
    """Where the database is, without user and password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        return "PostgreSQL"
    host, port = parts.get("host") or "localhost", parts.get("port") or 5432
    return f"PostgreSQL at {host}:{port}" + (f", database {parts['dbname']!r}" if parts.get("dbname") else "")


def _payload(endpoint_ids: Iterable[str]) -> str:
    """A JSON array; empty means: look at every endpoint."""
    payload = json.dumps(sorted(endpoint_ids))
    return payload if len(payload) <= _PAYLOAD_BYTES_MAX else "[]"


def _why_not(url: str, error: psycopg.Error) -> str:
    where, said = shown(url), _first_line(error)
    state = error.sqlstate or ""
    if isinstance(error, psycopg.ProgrammingError) and not state:
        return (
            "the database URL cannot be read; it has the form postgresql://user:password@host:5432/name, with "
            "%-escapes for special characters of the password"
        )
    if "password" in said or "authentication" in said or state.startswith("28"):
        user = urlsplit(url).username or "the user"
        return (
            f"{where} refused {user}: check the user and the password of the URL, or give the password as "
            "PGPASSWORD or in ~/.pgpass"
        )
    if "does not exist" in said:
        return f"{where} does not have what the URL names ({said}); create it first: createdb NAME"
    return f"{where} cannot be reached ({said}); is it running, and are host and port right?"


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__


def _field_with_nul(error: BaseException) -> str | None:
    given: Any = error.params if isinstance(error, DBAPIError) else None
    rows = [row for row in (given if isinstance(given, list | tuple) else [given]) if isinstance(row, Mapping)]
    names = [name for row in rows for name, value in row.items() if isinstance(value, str) and "\0" in value]
    return re.sub(r"_\d+$", "", names[0]) if names else None  # SQLAlchemy numbers those that it names itself


def _cause(error: BaseException) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    driver: Any = connection.connection.dbapi_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - tells the type checker what the engine says
    return driver
