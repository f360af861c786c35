"""One file, one writer: groups, their isolation, what is left after a crash, and who may own it."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.lock import DataFolderInUse, DataFolderLock
from seatrial.adapters.sql.sqlite import as_unavailable
from seatrial.ports.job_store import StoreUnavailable

ADD = text("INSERT INTO documents (kind, name, body, created_at_ms) VALUES ('k', :name, '{}', 1)")
NAMES = text("SELECT name FROM documents ORDER BY name")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "seatrial.sqlite")
    yield database
    await database.close()


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


async def test_nobody_is_answered_before_the_commit(database: Database, tmp_path: Path) -> None:
    await database.write(adding("a"))
    other = sqlite3.connect(tmp_path / "seatrial.sqlite")
    assert other.execute("SELECT name FROM documents").fetchall() == [("a",)]
    other.close()


async def test_a_locked_file_is_unavailable_and_then_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seatrial.adapters.sql.sqlite.DATABASE_BUSY_TIMEOUT_MS", 10)
    database = await Database.open(tmp_path / "seatrial.sqlite")
    other = sqlite3.connect(tmp_path / "seatrial.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
        await database.write(adding("a"))
    other.execute("ROLLBACK")
    other.close()
    assert await database.write(adding("a")) == "a"
    await database.close()


async def test_a_full_disk_is_unavailable_for_the_whole_group(database: Database) -> None:
    def fill(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        connection.execute(ADD, {"name": "x" * 10_000_000})

    outcomes = await together(database, database.write(adding("a")), database.write(fill))
    assert [type(one) for one in outcomes] == [StoreUnavailable, StoreUnavailable]
    assert await names(database) == []
    assert await database.write(adding("b")) == "b"


async def test_what_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "seatrial.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailable, match="NOTADB"):
        await Database.open(tmp_path / "seatrial.sqlite")
    with pytest.raises(StoreUnavailable, match="CANTOPEN"):
        await Database.open(tmp_path / "missing" / "seatrial.sqlite")


async def test_a_closed_database_says_so(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "seatrial.sqlite")
    last = asyncio.ensure_future(database.write(adding("last")))
    await asyncio.sleep(0)
    await database.close()
    await database.close()
    assert await last == "last"
    with pytest.raises(StoreUnavailable, match="closed"):
        await database.write(adding("a"))
    with pytest.raises(StoreUnavailable, match="closed"):
        await database.read(lambda connection: connection.execute(NAMES).all())


async def test_what_was_answered_is_in_the_files_without_any_checkpoint(database: Database, tmp_path: Path) -> None:
    """A copy of the files as they lie there, as a crash would leave them, has everything."""
    for name in "abc":
        await database.write(adding(name))
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("seatrial.sqlite", "seatrial.sqlite-wal"):
        shutil.copy(tmp_path / name, copy)
    assert (copy / "seatrial.sqlite-wal").stat().st_size > 0
    again = await Database.open(copy / "seatrial.sqlite")
    assert await names(again) == ["a", "b", "c"]
    await again.close()


async def test_the_pragmas_that_durability_needs(database: Database) -> None:
    def pragmas(connection: Connection) -> list[object]:
        asked = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.exec_driver_sql(f"PRAGMA {one}").scalar() for one in asked]

    assert await database.write(pragmas) == ["wal", 2, 1]


def test_a_programming_error_is_not_called_unavailable() -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("SELECT * FROM missing")
    connection.close()
    assert as_unavailable(caught.value) is None
    assert as_unavailable(ValueError()) is None


OWNER = """
import sys
from pathlib import Path
from seatrial.adapters.sql.lock import DataFolderLock
with DataFolderLock(Path(sys.argv[1])):
    print("owned", flush=True)
    sys.stdin.read()
"""


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "owned\n"
        with pytest.raises(DataFolderInUse, match=f"process {first.pid}") as caught, DataFolderLock(tmp_path):
            pass
        assert caught.value.pid == first.pid
        first.kill()
    with DataFolderLock(tmp_path):
        pass


def test_a_child_does_not_inherit_the_lock(tmp_path: Path) -> None:
    child_code = "import sys; print('up', flush=True); sys.stdin.read()"
    with DataFolderLock(tmp_path):
        child = subprocess.Popen(
            [sys.executable, "-c", child_code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            close_fds=False,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
    with child, DataFolderLock(tmp_path):
        assert child.poll() is None
