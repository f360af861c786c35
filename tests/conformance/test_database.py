"""Group commit, on SQLite and on PostgreSQL: what shares a transaction, and what a failure does to the others."""

import asyncio
import sqlite3
import threading

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.query import Query
from seatrial.adapters.sql.schema import stores
from seatrial.domain.limits import STORE_BATCH_COMMANDS_MAX

ADD = text("INSERT INTO documents (kind, name, body, created_at_ms) VALUES ('k', :name, '{}', 1)")
NAMES = text("SELECT name FROM documents ORDER BY name")


class Gate:
    """Keeps the writer busy, so that what is asked meanwhile shares the next transaction."""

    def __init__(self, database: Database) -> None:
        self._opened = threading.Event()
        self._entered = threading.Event()
        self._held = asyncio.ensure_future(database.write(self._wait))

    def _wait(self, _connection: Connection) -> None:
        self._entered.set()
        assert self._opened.wait(30)

    async def entered(self) -> None:
        await asyncio.to_thread(self._entered.wait)

    async def open(self) -> None:
        self._opened.set()
        await self._held


async def together(database: Database, *writes: asyncio.Future[object]) -> list[object]:
    gate = Gate(database)
    await gate.entered()
    tasks = [asyncio.ensure_future(one) for one in writes]
    await asyncio.sleep(0)  # each task has asked
    await gate.open()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def names(database: Database) -> list[str]:
    return await database.read(lambda connection: list(connection.execute(NAMES).scalars()))


def adding(name: str, then: BaseException | None = None):
    def work(connection: Connection) -> str:
        connection.execute(ADD, {"name": name})
        if then is not None:
            raise then
        return name

    return work


async def test_an_exception_undoes_only_its_own_work(database: Database) -> None:
    works = [adding("a"), adding("b", ValueError("mine")), adding("a"), adding("c")]
    a, b, again, c = await together(database, *(database.write(work) for work in works))
    assert (a, c) == ("a", "c")
    assert isinstance(b, ValueError)
    assert isinstance(again, IntegrityError)
    assert await names(database) == ["a", "c"]


async def test_a_kind_of_work_is_run_together_and_its_culprit_alone(database: Database) -> None:
    runs: list[list[str]] = []

    def add_all(connection: Connection, items: list[str]) -> list[str]:
        runs.append(list(items))
        for item in items:
            connection.execute(ADD, {"name": item})
            if item == "bad":
                raise ValueError("mine")
        return [item.upper() for item in items]

    outcomes = await together(database, *(database.write_together(add_all, one, 1) for one in ("a", "b")))
    assert outcomes == ["A", "B"]
    assert runs == [["a", "b"]]
    a, bad, d = await together(database, *(database.write_together(add_all, one, 1) for one in ("c", "bad", "d")))
    assert (a, d) == ("C", "D")
    assert isinstance(bad, ValueError)
    assert runs[1:] == [["c", "bad", "d"], ["c"], ["bad"], ["d"]]
    assert await names(database) == ["a", "b", "c", "d"]


async def test_a_transaction_is_bounded(database: Database) -> None:
    sizes: list[int] = []

    def count(_connection: Connection, items: list[int]) -> list[None]:
        sizes.append(len(items))
        return [None] * len(items)

    await together(database, *(database.write_together(count, one, 100) for one in range(12)))
    assert sizes == [5, 5, 2]
    assert STORE_BATCH_COMMANDS_MAX == 500


async def test_an_abandoned_write_breaks_no_other(database: Database) -> None:
    gate = Gate(database)
    await gate.entered()
    tasks = [asyncio.ensure_future(database.write(adding(name))) for name in "abc"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await gate.open()
    assert await asyncio.gather(tasks[0], tasks[2]) == ["a", "c"]
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]


async def test_a_reader_sees_one_state(database: Database) -> None:
    await database.write(adding("a"))
    read, written = threading.Event(), threading.Event()

    def twice(connection: Connection) -> tuple[int, int]:
        before = len(connection.execute(NAMES).all())
        read.set()
        assert written.wait(30)
        return before, len(connection.execute(NAMES).all())

    reading = asyncio.ensure_future(database.read(twice))
    await asyncio.to_thread(read.wait)
    await database.write(adding("b"))
    written.set()
    assert await reading == (1, 1)
    assert await names(database) == ["a", "b"]


async def test_a_query_on_the_driver_leaves_no_transaction_behind(database: Database) -> None:
    """An open one would show its reader the state of that time for ever."""
    query = Query(select(stores.c.only))

    def began_before(connection: Connection) -> bool:
        driver = connection.connection.dbapi_connection
        status = driver.in_transaction if isinstance(driver, sqlite3.Connection) else driver.info.transaction_status
        query.all(connection, {})
        return bool(status)  # IDLE is 0

    assert [await database.read(began_before) for _ in range(20)] == [False] * 20
