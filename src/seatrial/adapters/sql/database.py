"""One database: a writer thread with group commit, and a few readers. What kind it is, its backend knows."""

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

from seatrial.adapters.sql.backend import Backend
from seatrial.adapters.sql.sqlite import SqliteBackend
from seatrial.domain.limits import DATABASE_ATTEMPTS_MAX, DATABASE_READERS, STORE_BATCH_COMMANDS_MAX
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

    @property
    def repeatable(self) -> bool:
        """Whether it may run again although its first run may have been committed."""
        return self.together is not _single

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
    committing: bool = False  # from then on nobody knows whether a failed transaction is there

    def fill(self, units: list[_Unit]) -> list[_Unit]:
        """Take as many as there is room for; the others."""
        for at, unit in enumerate(units):
            if self.weight >= STORE_BATCH_COMMANDS_MAX:
                return units[at:]
            self.units.append(unit)
            self.weight += unit.weight
        return []

    def bundles(self) -> list[list[_Unit]]:
        """Units to run in one call each: single works by themselves, the others by kind."""
        by_kind: dict[object, list[_Unit]] = {}
        for unit in self.units:
            unit.error = None
            by_kind.setdefault(unit if unit.together is _single else unit.together, []).append(unit)
        return list(by_kind.values())


def _single(connection: Connection, works: Sequence[Work[Any]]) -> Sequence[Any]:
    return [work(connection) for work in works]


class Database:
    """One database, which other servers may share if its backend allows that. Its methods end with the disk's flush.

    All writes of this process run in one thread. Whatever waits when that thread becomes free shares one
    transaction, at most STORE_BATCH_COMMANDS_MAX of it, and is answered after its COMMIT. A caller that stops
    waiting changes nothing: its write may be committed all the same.
    """

    def __init__(self, backend: Backend) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked: list[_Unit] = []  # in this round of the loop
        self._waiting: SimpleQueue[list[_Unit] | None] = SimpleQueue()
        self._unserved: list[_Unit] = []  # by the writer's last group, which was full
        self._closed = False
        self._backend = backend
        self._writer: Connection | None = None
        self._thread = threading.Thread(target=self._serve, name="database-writer", daemon=True)
        self._readers = ThreadPoolExecutor(DATABASE_READERS, thread_name_prefix="database-reader")
        self._idle_readers: SimpleQueue[Connection] = SimpleQueue()

    @classmethod
    async def open(cls, path: Path) -> Database:
        """Open or make a SQLite file; see `open_on`."""
        return await cls.open_on(SqliteBackend(path))

    @classmethod
    async def open_on(cls, backend: Backend) -> Database:
        """Bring the tables up to date and begin to serve.

        Raises:
            StoreUnavailable: it cannot be opened, or is no database.
            SchemaTooNew: a newer Seatrial made its tables.
        """
        database = cls(backend)
        try:
            await asyncio.to_thread(backend.migrate)
        except Exception as error:
            database._readers.shutdown()
            raise backend.unavailable(error) or error from error
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
        item is at fault gets the exception. `weight` counts against STORE_BATCH_COMMANDS_MAX. It has to be
        repeatable: when the connection is lost inside COMMIT, it runs again and finds what the first run left.
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
        self._hand_over()
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._readers.shutdown)
        while not self._idle_readers.empty():
            self._idle_readers.get().close()
        if self._writer is not None:
            self._writer.close()
        self._backend.close()

    # ------------------------------------------------------------ in the event loop

    async def _enqueue(self, together: Together[Any, Any], item: Any, weight: int) -> Any:
        if self._closed:
            raise StoreUnavailable("the database is closed")
        unit = _Unit(together, item, weight, self._loop.create_future())
        self._asked.append(unit)
        if len(self._asked) == 1:
            self._loop.call_soon(self._hand_over)
        return await unit.future

    def _hand_over(self) -> None:
        """What was asked for in one round of the loop goes to the writer together, and wakes it once."""
        asked, self._asked = self._asked, []
        if asked:
            self._waiting.put(asked)

    # ------------------------------------------------------------ in the reader threads

    def _run_query(self, query: Callable[[Connection], T]) -> T:
        while True:
            try:
                connection, fresh = self._idle_readers.get_nowait(), False
            except Empty:
                connection, fresh = self._connect(self._backend.reader), True
            try:
                result = query(connection)
                connection.rollback()
            except Exception as error:
                connection.close()
                if not fresh and self._backend.uncommitted(error):
                    continue  # it broke while it was idle
                raise self._backend.unavailable(error) or self._backend.refused(error) or error from error
            self._idle_readers.put(connection)
            return result

    def _connect(self, how: Callable[[], Connection]) -> Connection:
        try:
            return how()
        except Exception as error:
            raise self._backend.unavailable(error) or error from error

    # ------------------------------------------------------------ in the writer thread

    def _serve(self) -> None:
        last = False
        while not last:
            group, last = self._next_group()
            try:
                self._run(group)
            except Exception as error:  # noqa: BLE001 - the thread's edge: every caller gets its answer
                self._fail(group, error)
            self._answer(group.units)

    def _next_group(self) -> tuple[_Group, bool]:
        group = _Group()
        asked = self._unserved or self._waiting.get()
        try:
            while asked is not None:
                self._unserved = group.fill(asked)
                if self._unserved or group.weight >= STORE_BATCH_COMMANDS_MAX:
                    return group, False
                asked = self._waiting.get_nowait()
        except Empty:
            return group, False
        return group, True

    def _run(self, group: _Group) -> None:
        """The group in one transaction; again in another one where the first failed through no fault of its own."""
        attempts_left = DATABASE_ATTEMPTS_MAX
        while group.units:
            try:
                self._transact(group)
                return
            except Exception as error:
                attempts_left -= 1
                if not attempts_left or not self._backend.uncommitted(error):
                    raise
                self._drop_writer()
                if group.committing:
                    self._answer_unrepeatable(group, error)

    def _transact(self, group: _Group) -> None:
        group.committing = False
        if self._writer is None:
            self._writer = self._backend.writer()
        with self._writer.begin():
            self._backend.begin(self._writer)
            for units in group.bundles():
                self._run_bundle(self._writer, units)
            reached(CrashPoint.COMMIT_WRITTEN)
            group.committing = True
            self._backend.commit(self._writer)
        reached(CrashPoint.COMMIT_DONE)

    def _run_bundle(self, connection: Connection, units: list[_Unit]) -> None:
        """In one call; who loses a race runs again, and after any other failure each unit runs by itself."""
        failure: Exception | None = None
        for _ in range(DATABASE_ATTEMPTS_MAX):
            try:
                self._run_undoable(connection, units)
                return
            except Exception as error:
                if self._backend.unavailable(error) or not self._backend.goes_on(connection):
                    raise
                failure = error
            if not self._backend.lost_race(failure):
                break
        if len(units) == 1:
            units[0].error = failure and (self._backend.refused(failure) or failure)
            return
        for unit in units:
            self._run_bundle(connection, [unit])

    def _run_undoable(self, connection: Connection, units: list[_Unit]) -> None:
        driver: Any = connection.connection.dbapi_connection  # SQLAlchemy's own savepoints cost more than most bundles
        driver.execute("SAVEPOINT bundle").close()
        try:
            results = units[0].together(connection, [unit.item for unit in units])
        except Exception:
            if self._backend.goes_on(connection):
                driver.execute("ROLLBACK TO SAVEPOINT bundle").close()
                driver.execute("RELEASE SAVEPOINT bundle").close()
            raise
        driver.execute("RELEASE SAVEPOINT bundle").close()
        for unit, result in zip(units, results, strict=True):
            unit.result = result

    def _answer_unrepeatable(self, group: _Group, error: Exception) -> None:
        """Nobody knows whether these were committed: their callers look, and decide."""
        for unit in group.units:
            if not unit.repeatable:
                unit.error = self._backend.unavailable(error) or error
        self._answer([unit for unit in group.units if not unit.repeatable])
        group.units = [unit for unit in group.units if unit.repeatable]

    def _fail(self, group: _Group, error: Exception) -> None:
        """The transaction failed as a whole: nobody's work is there, and the connection is not trusted again."""
        answer = self._backend.unavailable(error) or error
        if answer is error:
            _log.error("a transaction failed", exc_info=error)
        for unit in group.units:
            unit.error = answer
        self._drop_writer()

    def _drop_writer(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(Exception):
                self._writer.invalidate()
                self._writer.close()
            self._writer = None

    def _answer(self, units: Sequence[_Unit]) -> None:
        try:
            self._loop.call_soon_threadsafe(_settle, units)
        except RuntimeError:
            pass  # the loop is closed, so nobody waits


def _settle(units: Sequence[_Unit]) -> None:
    for unit in units:
        unit.settle()
