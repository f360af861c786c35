"""Statements compiled once and run with many rows: what SQLAlchemy does for each row is most of their cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import UpdateBase

from seatrial.adapters.sql.driver import driver_cursor

Row = dict[str, Any]


class Prepared:
    """An INSERT, UPDATE or DELETE whose rows are mappings with the same names, at least two of them.

    `columns` are those that an INSERT sets; the statement's own parameters name the others. `ending` is said after
    it, in words that all databases share. It is compiled when it first meets a database of a kind.
    """

    def __init__(self, statement: UpdateBase, columns: Sequence[str] | None = None, ending: str = "") -> None:
        self._statement = statement
        self._columns = columns
        self._ending = ending
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Once for each row; the dictionaries are used up. How many rows it met in all."""
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled(self._statement, self._columns, self._ending, dialect)
        parameters = compiled.parameters(rows)
        with driver_cursor(connection, compiled.sql, parameters) as cursor:
            cursor.executemany(compiled.sql, parameters)
            changed: int = cursor.rowcount
        return changed


class _Compiled:
    """The statement in the words of one kind of database."""

    def __init__(self, statement: UpdateBase, columns: Sequence[str] | None, ending: str, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self.sql = f"{compiled} {ending}".rstrip()
        positions = compiled.positiontup
        names = list(positions if positions is not None else compiled.binds)
        self._in_order: Callable[[Mapping[str, Any]], tuple[Any, ...]] | None = None
        if positions is not None:
            self._in_order = itemgetter(*names)
        self._encoders = {
            name: encode
            for name, parameter in compiled.binds.items()
            if name in names and (encode := parameter.type.dialect_impl(dialect).bind_processor(dialect))
        }

    def parameters(self, rows: Sequence[Row]) -> Any:
        """The rows as the driver wants them: by position where it counts, else by name."""
        for row in rows:
            for name, encode in self._encoders.items():
                row[name] = encode(row[name])
        return list(rows) if self._in_order is None else [self._in_order(row) for row in rows]
