"""Statements compiled once and run with many rows: what SQLAlchemy does for each row is most of their cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import UpdateBase

_DIALECT = sqlite.dialect(paramstyle="qmark")


class Prepared:
    """An INSERT, UPDATE or DELETE whose rows are mappings with the same names, at least two of them.

    `columns` are those that an INSERT sets; the statement's own parameters name the others.
    """

    def __init__(self, statement: UpdateBase, columns: Sequence[str] | None = None) -> None:
        compiled = statement.compile(dialect=_DIALECT, column_keys=columns)
        self._sql = str(compiled)
        names = list(compiled.positiontup or ())
        self._in_order: Callable[[Mapping[str, Any]], tuple[Any, ...]] = itemgetter(*names)
        self._encoders = {
            name: encode
            for name, parameter in compiled.binds.items()
            if name in names and (encode := parameter.type.dialect_impl(_DIALECT).bind_processor(_DIALECT))
        }

    def run(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Once for each row; the dictionaries are used up."""
        for row in rows:
            for name, encode in self._encoders.items():
                row[name] = encode(row[name])
        connection.exec_driver_sql(self._sql, [self._in_order(row) for row in rows])
