"""The database driver's own cursor, past SQLAlchemy's execution, with SQLAlchemy's errors."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


class driver_cursor:  # noqa: N801 - used like a function; a generator's context costs as much as a small statement
    """A cursor for one statement. What the driver raises leaves as DBAPIError, a lost connection marked."""

    def __init__(self, connection: Connection, sql: str, parameters: Any) -> None:
        self._connection = connection
        self._sql = sql
        self._parameters = parameters

    def __enter__(self) -> Any:
        if not self._connection.in_transaction():
            self._connection.begin()  # else the driver would begin one that nobody ends
        driver: Any = self._connection.connection.dbapi_connection
        self._cursor = driver.cursor()
        return self._cursor

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        dialect = self._connection.dialect
        driver_error = dialect.loaded_dbapi.Error
        if not isinstance(error, driver_error):
            self._cursor.close()
            return
        lost = dialect.is_disconnect(error, self._connection.connection.dbapi_connection, self._cursor)
        if lost:
            self._connection.invalidate(error)
        else:
            self._cursor.close()
        known = DBAPIError.instance(
            self._sql, self._parameters, error, driver_error, connection_invalidated=lost, dialect=dialect
        )
        raise known from error
