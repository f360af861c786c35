"""SELECTs of the hot path, compiled once and run on the driver: SQLAlchemy's own execution is most of their cost."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Select

from seatrial.adapters.sql.driver import driver_cursor

Row = Any  # a named tuple of the selected columns
Lengths = tuple[int, ...]


class Query:
    """A SELECT whose rows come as named tuples, with Python's values. `lists` name its expanding parameters.

    It is compiled when it first meets a database of a kind, once for each length of its lists. Those are filled up to
    a power of two with their own last value, which changes no membership, so that there are few lengths.
    """

    def __init__(self, statement: Select[Any], lists: Sequence[str] = ()) -> None:
        self.statement = statement
        self._lists = tuple(lists)
        self._compiled: dict[tuple[str, Lengths], _Compiled] = {}

    def all(self, connection: Connection, values: Mapping[str, Any]) -> list[Row]:
        """Every row."""
        lengths = tuple(_power_of_two(len(values[name])) for name in self._lists)
        dialect = connection.dialect
        compiled = self._compiled.get((dialect.name, lengths))
        if compiled is None:
            lists = dict(zip(self._lists, lengths, strict=True))
            compiled = self._compiled[dialect.name, lengths] = _Compiled(self.statement, lists, dialect)
        if self._lists:
            values = dict(values) | _spread(values, self._lists, lengths)
        parameters = compiled.parameters(values)
        with driver_cursor(connection, compiled.sql, parameters) as cursor:
            cursor.execute(compiled.sql, parameters)
            return compiled.rows(cursor.fetchall())

    def first(self, connection: Connection, values: Mapping[str, Any]) -> Row | None:
        """The first row of the few that there can be."""
        rows = self.all(connection, values)
        return rows[0] if rows else None


class _Compiled:
    """The statement in the words of one kind of database."""

    def __init__(self, statement: Select[Any], lists: Mapping[str, int], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        blanks = dict.fromkeys(compiled.binds) | {name: [None] * length for name, length in lists.items()}
        expanded = compiled.construct_expanded_state(blanks)
        self.sql = expanded.statement
        names = list(expanded.positiontup if expanded.positiontup is not None else expanded.parameters)
        self._in_order = _getter(names) if expanded.positiontup is not None else None
        self._fixed = {name: value for name, value in compiled.params.items() if name in names}
        self._encoders = {}
        for name, parameter in compiled.binds.items():
            encode = parameter.type.dialect_impl(dialect).bind_processor(dialect)
            if encode is not None:
                self._encoders.update(dict.fromkeys(_spelled(name, lists), encode))
        columns = list(statement.selected_columns)
        kind: Any = namedtuple("Row", [column.name for column in columns])  # type: ignore[misc]
        self._row: Callable[[Any], Row] = kind._make
        self._decoders = [
            (at, decode)
            for at, column in enumerate(columns)
            if (decode := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """The values as the driver wants them: by position where it counts, else by name."""
        given = {**self._fixed, **values}
        for name, encode in self._encoders.items():
            given[name] = encode(given[name])
        return given if self._in_order is None else self._in_order(given)

    def rows(self, found: list[tuple[Any, ...]]) -> list[Row]:
        """With the values that the columns' types speak of."""
        if not self._decoders:
            return [self._row(one) for one in found]
        decoded = []
        for one in found:
            values = list(one)
            for at, decode in self._decoders:
                if values[at] is not None:
                    values[at] = decode(values[at])
            decoded.append(self._row(values))
        return decoded


def _power_of_two(length: int) -> int:
    return 1 << (length - 1).bit_length() if length else 0


def _spread(values: Mapping[str, Any], lists: Sequence[str], lengths: Lengths) -> dict[str, Any]:
    """`tokens` -> `tokens_1`, `tokens_2`, …"""
    spread: dict[str, Any] = {}
    for name, length in zip(lists, lengths, strict=True):
        given = list(values[name])
        given += given[-1:] * (length - len(given))
        spread.update((f"{name}_{at}", one) for at, one in enumerate(given, 1))
    return spread


def _spelled(name: str, lists: Mapping[str, int]) -> list[str]:
    return [f"{name}_{at}" for at in range(1, lists[name] + 1)] if name in lists else [name]


def _getter(names: list[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda given: tuple(given[name] for name in names)  # itemgetter of one name gives no tuple
