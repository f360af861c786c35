"""One SQLite file: a writer thread with group commit, and a few readers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection

from seatrial.adapters.sql.migrate import migrate
from seatrial.adapters.sql.sqlite import as_unavailable, raw, sqlite_engine
from seatrial.domain.limits import DATABASE_READERS, STORE_BATCH_COMMANDS_MAX
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.job_store import StoreUnavailable

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[Connection], T]
Together = Callable[[Connection, Sequence[T]], Sequence[R]]

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Unit:
    """What one caller waits for: `together` runs the items of every unit that names it in one call."""

    together: Together[Any, Any]
    item: Any
    weight: int
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Tell the caller, unless it no longer listens."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


@dataclass(slots=True)
class _Group:
    """Units that share a transaction, by the function that runs them."""

    units: list[_Unit] = field(default_factory=list)
    weight: int = 0

    def add(self, unit: _Unit) -> None:
        self.units.append(unit)
        self.weight += unit.weight

    def bundles(self) -> list[list[_Unit]]:
        """Units to run in one call each: single works by themselves, the others by kind."""
        by_kind: dict[object, list[_Unit]] = {}
        for unit in self.units:
            by_kind.setdefault(unit if unit.together is _single else unit.together, []).append(unit)
        return list(by_kind.values())


def _single(connection: Connection, works: Sequence[Work[Any]]) -> Sequence[Any]:
    return [work(connection) for work in works]


class Database:
    """The owner of one SQLite file. Times of its methods end with the disk's flush.

    All writes run in one thread. Whatever waits when that thread becomes free shares one transaction, at most
    STORE_BATCH_COMMANDS_MAX of it, and is answered after its COMMIT. A caller that stops waiting changes
    nothing: its write may be committed all the same.
    """

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: SimpleQueue[_Unit | None] = SimpleQueue()
        self._closed = False
        self._write_engine = sqlite_engine(path, "FULL", "IMMEDIATE")
        self._read_engine = sqlite_engine(path, "FULL", "DEFERRED")
        self._writer: Connection | None = None
        self._thread = threading.Thread(target=self._serve, name="database-writer", daemon=True)
        self._readers = ThreadPoolExecutor(DATABASE_READERS, thread_name_prefix="database-reader")
        self._idle_readers: SimpleQueue[Connection] = SimpleQueue()

    @classmethod
    async def open(cls, path: Path) -> Database:
        """Open or make the file and bring its tables up to date.

        Raises:
            StoreUnavailable: it cannot be opened, or is no database.
        """
        database = cls(path)
        try:
            await asyncio.to_thread(migrate, database._write_engine)
        except Exception as error:
            database._readers.shutdown()
            raise as_unavailable(error) or error from error
        database._thread.start()
        return database

    async def write(self, work: Work[T]) -> T:
        """Run `work` in the writer thread, in a transaction that others may share; returns once it is on disk.

        What `work` raises undoes only what `work` did, and is raised here.

        Raises:
            StoreUnavailable: nothing is known to be committed.
        """
        result: T = await self._enqueue(_single, work, 1)
        return result

    async def write_together(self, together: Together[T, R], item: T, weight: int) -> R:
        """Like `write`, for a kind of work that is cheaper in numbers.

        `together` gets the items of all callers that name it in this transaction and returns one result each, in
        order. If it raises, what it did is undone and it runs again for each item alone, so only the caller whose
        item is at fault gets the exception. `weight` counts against STORE_BATCH_COMMANDS_MAX.
        """
        result: R = await self._enqueue(together, item, weight)
        return result

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on a reader's connection: it sees one state of the database, the latest committed.

        Raises:
            StoreUnavailable
        """
        if self._closed:
            raise StoreUnavailable("the database is closed")
        return await self._loop.run_in_executor(self._readers, self._run_query, query)

    async def close(self) -> None:
        """Finish what was asked before, then let go of the file."""
        if self._closed:
            return
        self._closed = True
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._readers.shutdown)
        while not self._idle_readers.empty():
            self._idle_readers.get().close()
        if self._writer is not None:
            self._writer.close()

    # ------------------------------------------------------------ in the event loop

    async def _enqueue(self, together: Together[Any, Any], item: Any, weight: int) -> Any:
        if self._closed:
            raise StoreUnavailable("the database is closed")
        unit = _Unit(together, item, weight, self._loop.create_future())
        self._waiting.put(unit)
        return await unit.future

    # ------------------------------------------------------------ in the reader threads

    def _run_query(self, query: Callable[[Connection], T]) -> T:
        try:
            connection = self._idle_readers.get_nowait()
        except Empty:
            connection = self._read_engine.connect()
        try:
            result = query(connection)
            connection.rollback()
        except Exception as error:
            connection.close()
            raise as_unavailable(error) or error from error
        self._idle_readers.put(connection)
        return result

    # ------------------------------------------------------------ in the writer thread

    def _serve(self) -> None:
        last = False
        while not last:
            group, last = self._next_group()
            try:
                self._run(group)
            except Exception as error:  # noqa: BLE001 - the thread's edge: every caller gets its answer
                self._fail(group, error)
            try:
                self._loop.call_soon_threadsafe(_settle, group.units)
            except RuntimeError:
                pass  # the loop is closed, so nobody waits

    def _next_group(self) -> tuple[_Group, bool]:
        group = _Group()
        unit = self._waiting.get()
        try:
            while unit is not None:
                group.add(unit)
                if group.weight >= STORE_BATCH_COMMANDS_MAX:
                    return group, False
                unit = self._waiting.get_nowait()
        except Empty:
            return group, False
        return group, True

    def _run(self, group: _Group) -> None:
        if not group.units:
            return
        if self._writer is None:
            self._writer = self._write_engine.connect()
        with self._writer.begin():
            for units in group.bundles():
                self._run_bundle(self._writer, units)
            reached(CrashPoint.COMMIT_WRITTEN)
        reached(CrashPoint.COMMIT_DONE)

    def _run_bundle(self, connection: Connection, units: list[_Unit]) -> None:
        try:
            self._run_undoable(connection, units)
        except Exception as error:
            if as_unavailable(error) or not raw(connection).in_transaction:
                raise
            if len(units) > 1:
                for unit in units:
                    self._run_bundle(connection, [unit])
            else:
                units[0].error = error

    def _run_undoable(self, connection: Connection, units: list[_Unit]) -> None:
        driver = raw(connection)
        driver.execute("SAVEPOINT bundle").close()
        try:
            results = units[0].together(connection, [unit.item for unit in units])
        except Exception:
            if driver.in_transaction:  # SQLite itself ends a transaction on some errors
                driver.execute("ROLLBACK TO bundle").close()
                driver.execute("RELEASE bundle").close()
            raise
        driver.execute("RELEASE bundle").close()
        for unit, result in zip(units, results, strict=True):
            unit.result = result

    def _fail(self, group: _Group, error: Exception) -> None:
        """The transaction failed as a whole: nobody's work is there, and the connection is not trusted again."""
        answer = as_unavailable(error) or error
        if answer is error:
            _log.error("a transaction failed", exc_info=error)
        for unit in group.units:
            unit.error = answer
        if self._writer is not None:
            with contextlib.suppress(Exception):
                self._writer.invalidate()
                self._writer.close()
            self._writer = None


def _settle(units: Sequence[_Unit]) -> None:
    for unit in units:
        unit.settle()
