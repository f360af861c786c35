"""ports.log_store.LogStore on a SQLite file of its own: losing its last lines in a power cut is acceptable."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
)
from sqlalchemy import insert as plain_insert
from sqlalchemy.dialects.sqlite import insert

from seatrial.adapters.sql.prepared import Prepared
from seatrial.adapters.sql.sqlite import sqlite_engine
from seatrial.domain.limits import LOG_LINE_BYTES_MAX, LOG_LINES_PER_GROUP_MAX, LOG_LINES_WAITING_MAX
from seatrial.domain.logs import LogFilter, LogLine, LogStream

OWN_STREAM = "seatrial"

_log = logging.getLogger(__name__)
_metadata = MetaData()

_lines = Table(
    "lines",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("group", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("job_id", Text),
    Column("text", Text, nullable=False),
    sqlite_autoincrement=True,  # an id is never used twice, so a reader's `after_id` stays true
)
Index("ix_lines_group", _lines.c.group, _lines.c.id)
Index("ix_lines_job", _lines.c.job_id, _lines.c.id, sqlite_where=_lines.c.job_id.is_not(None))

_streams = Table(
    "streams",
    _metadata,
    Column("group", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("first_at_ms", BigInteger, nullable=False),
    Column("last_at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

SETTLED_SECONDS_MAX = 1.0  # that a reader waits for the writer

_ADD = Prepared(plain_insert(_lines), ["group", "stream", "at_ms", "job_id", "text"])
_SEEN = insert(_streams)
_SEE = Prepared(
    _SEEN.on_conflict_do_update(
        index_elements=[_streams.c.group, _streams.c.name],
        set_={
            "first_at_ms": func.min(_streams.c.first_at_ms, _SEEN.excluded.first_at_ms),
            "last_at_ms": func.max(_streams.c.last_at_ms, _SEEN.excluded.last_at_ms),
        },
    ),
    ["group", "name", "first_at_ms", "last_at_ms"],
)
_OLDEST_KEPT = (
    select(_lines.c.id, _lines.c.at_ms)
    .where(_lines.c.group == bindparam("of"))
    .order_by(_lines.c.id.desc())
    .limit(1)
    .offset(bindparam("keep"))
)
_TRIM = delete(_lines).where(_lines.c.group == bindparam("of"), _lines.c.id <= bindparam("last"))
_TRIM_STREAMS = delete(_streams).where(
    _streams.c.group == bindparam("of"),
    ~select(_lines.c.id).where(_lines.c.group == _streams.c.group, _lines.c.stream == _streams.c.name).exists(),
)


class SqlLogStore:
    """Lines in one file, written by one thread in batches.

    Of each group the newest `lines_per_group_max` are kept (and up to a tenth more until the next trim). When
    more than `lines_waiting_max` wait to be written, further ones are dropped, and a line of the stream
    `seatrial` says how many.
    """

    def __init__(self, path: Path, lines_per_group_max: int, lines_waiting_max: int) -> None:
        self._engine = sqlite_engine(path, "OFF", "IMMEDIATE")
        self._read_engine = sqlite_engine(path, "OFF", "DEFERRED")
        self._lines_per_group_max = lines_per_group_max
        self._lines_waiting_max = lines_waiting_max
        self._changed = threading.Condition()
        self._waiting: list[LogLine] = []
        self._dropped: Counter[str] = Counter()
        self._closing = False
        self._appended = 0  # lines, since the start
        self._settled = 0  # of them those that are written, or lost
        self._since_trim: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._serve, name="log-writer", daemon=True)

    @classmethod
    async def open(
        cls,
        path: Path,
        lines_per_group_max: int = LOG_LINES_PER_GROUP_MAX,
        lines_waiting_max: int = LOG_LINES_WAITING_MAX,
    ) -> SqlLogStore:
        """Open or make the file.

        Raises:
            sqlalchemy.exc.DBAPIError: it cannot be opened, or is no database.
        """
        store = cls(path, lines_per_group_max, lines_waiting_max)
        await asyncio.to_thread(_metadata.create_all, store._engine)
        store._thread.start()
        return store

    def append(self, lines: Sequence[LogLine]) -> None:
        """See the port. May be called from any thread."""
        with self._changed:
            room = max(0, self._lines_waiting_max - len(self._waiting))
            self._waiting.extend(lines[:room])
            self._appended += len(lines[:room])
            self._dropped.update(line.group for line in lines[room:])
            self._changed.notify_all()

    async def settled(self) -> None:
        """See the port."""
        with self._changed:
            wanted = self._appended
            if self._settled >= wanted:
                return
        await asyncio.to_thread(self._wait_settled, wanted)

    def _wait_settled(self, wanted: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._settled >= wanted, SETTLED_SECONDS_MAX)

    async def lines(self, which: LogFilter) -> list[LogLine]:
        """See the port."""
        statement = _matching(which)
        return await asyncio.to_thread(self._read_lines, statement)

    async def streams(self, group: str) -> list[LogStream]:
        """See the port."""
        return await asyncio.to_thread(self._read_streams, group)

    async def groups(self) -> list[str]:
        """See the port."""
        return await asyncio.to_thread(self._read_groups)

    async def close(self) -> None:
        """Write what waits, then let go of the file."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        await asyncio.to_thread(self._thread.join)

    # ------------------------------------------------------------ reading

    def _read_lines(self, statement: Select[tuple[object, ...]]) -> list[LogLine]:
        with self._read_engine.connect() as connection:
            rows = connection.execute(statement).all()
        return [LogLine(row.group, row.stream, row.at_ms, row.text, row.job_id, row.id) for row in rows]

    def _read_streams(self, group: str) -> list[LogStream]:
        statement = select(_streams).where(_streams.c.group == group).order_by(_streams.c.name)
        with self._read_engine.connect() as connection:
            return [LogStream(*row) for row in connection.execute(statement)]

    def _read_groups(self) -> list[str]:
        statement = select(_streams.c.group).distinct().order_by(_streams.c.group)
        with self._read_engine.connect() as connection:
            return list(connection.execute(statement).scalars())

    # ------------------------------------------------------------ in the writer thread

    def _serve(self) -> None:
        with self._engine.connect() as connection:
            while (taken := self._next()) is not None:
                lines, upto = taken
                try:
                    with connection.begin():
                        self._write(connection, lines)
                except Exception:  # noqa: BLE001 - the thread's edge: lines are lost, jobs go on
                    _log.exception("%d lines of log could not be written", len(lines))
                with self._changed:
                    self._settled = upto
                    self._changed.notify_all()

    def _next(self) -> tuple[list[LogLine], int] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._dropped or self._closing)
            if not self._waiting and not self._dropped:
                return None
            lines, self._waiting = self._waiting, []
            dropped, self._dropped = self._dropped, Counter()
            upto = self._appended
        return lines + [_dropped_line(group, count) for group, count in dropped.items()], upto

    def _write(self, connection: Connection, lines: Sequence[LogLine]) -> None:
        _ADD.run(connection, [_values(line) for line in lines])
        _SEE.run(connection, _streams_of(lines))
        self._since_trim.update(line.group for line in lines)
        for group, count in list(self._since_trim.items()):
            if count * 10 >= self._lines_per_group_max:
                del self._since_trim[group]
                self._trim(connection, group)

    def _trim(self, connection: Connection, group: str) -> None:
        last = connection.execute(_OLDEST_KEPT, {"of": group, "keep": self._lines_per_group_max}).scalar()
        if last is not None:
            connection.execute(_TRIM, {"of": group, "last": last})
            connection.execute(_TRIM_STREAMS, {"of": group})


def _values(line: LogLine) -> dict[str, str | int | None]:
    return {
        "group": line.group,
        "stream": line.stream,
        "at_ms": line.at_ms,
        "job_id": line.job_id,
        "text": _cut(line.text),
    }


def _cut(text: str) -> str:
    encoded = text.encode(errors="replace")  # lone surrogates are no UTF-8
    if len(encoded) <= LOG_LINE_BYTES_MAX:
        return encoded.decode()
    kept = encoded[:LOG_LINE_BYTES_MAX].decode(errors="ignore")
    return f"{kept}… [cut: the line had {len(encoded)} bytes]"


def _streams_of(lines: Sequence[LogLine]) -> list[dict[str, str | int]]:
    times: dict[tuple[str, str], list[int]] = {}
    for line in lines:
        times.setdefault((line.group, line.stream), []).append(line.at_ms)
    return [
        {"group": group, "name": name, "first_at_ms": min(at), "last_at_ms": max(at)}
        for (group, name), at in times.items()
    ]


def _dropped_line(group: str, count: int) -> LogLine:
    text = f"{count} lines were dropped: they came faster than they could be written"
    return LogLine(group, OWN_STREAM, time.time_ns() // 1_000_000, text)


def _matching(which: LogFilter) -> Select[tuple[object, ...]]:
    statement = select(_lines).where(_lines.c.group == which.group).order_by(_lines.c.id).limit(which.limit)
    if which.streams:
        statement = statement.where(_lines.c.stream.in_(sorted(which.streams)))
    if which.stream_prefix is not None:
        start = func.substr(_lines.c.stream, 1, len(which.stream_prefix))
        statement = statement.where(start == which.stream_prefix)
    if which.since_ms is not None:
        statement = statement.where(_lines.c.at_ms >= which.since_ms)
    if which.until_ms is not None:
        statement = statement.where(_lines.c.at_ms <= which.until_ms)
    if which.job_id is not None:
        statement = statement.where(_lines.c.job_id == which.job_id)
    if which.contains is not None:
        statement = statement.where(func.instr(_lines.c.text, which.contains) > 0)
    if which.after_id is not None:
        statement = statement.where(_lines.c.id > which.after_id)
    return statement
