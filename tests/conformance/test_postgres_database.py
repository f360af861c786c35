"""PostgreSQL: lost connections, unknown commits, deadlocks, hints, and what a person is told who set it up wrong."""

import asyncio
import json
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, text

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.failures import DatabaseUnusable
from seatrial.adapters.sql.hints import Hints
from seatrial.adapters.sql.opening import open_database
from seatrial.adapters.sql.postgres import CHANNEL, PostgresBackend
from seatrial.domain.commands import Submitted
from seatrial.domain.jobs import JobState
from seatrial.ports.job_store import StoreUnavailable
from seatrial.testing.job_store import ENDPOINT, World, as_a, open_session, submission, submit, success, take
from seatrial.testing.postgres import PASSWORD, PostgresServer

WorldOf = Callable[..., World]
ADD = text("INSERT INTO documents (kind, name, body, created_at_ms) VALUES ('k', :name, '{}', 1)")
NAMES = text("SELECT name FROM documents WHERE kind = 'k' ORDER BY name")


def adding(name: str):
    return lambda connection: connection.execute(ADD, {"name": name}).rowcount


async def names(database: Database) -> list[str]:
    return await database.read(lambda connection: list(connection.execute(NAMES).scalars()))


@pytest.fixture
async def opened(postgres_url: str) -> AsyncIterator[Database]:
    database = await Database.open_on(PostgresBackend(postgres_url))
    yield database
    await database.close()


# ---------------------------------------------------------------- a database that goes away


async def test_a_database_that_was_restarted_is_unavailable_and_then_works_again(
    opened: Database, postgres: PostgresServer
) -> None:
    await opened.write(adding("a"))
    assert await names(opened) == ["a"]
    postgres.stop()
    with pytest.raises(StoreUnavailable, match="not available"):
        await opened.write(adding("b"))
    with pytest.raises(StoreUnavailable, match="not available"):
        await names(opened)
    postgres.start()
    await opened.write(adding("c"))
    assert await names(opened) == ["a", "c"]


async def test_a_connection_that_broke_while_it_was_idle_is_nobodys_trouble(
    opened: Database, postgres: PostgresServer
) -> None:
    await opened.write(adding("a"))
    assert await names(opened) == ["a"]
    with postgres.administration() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'seatrial'")
    assert await names(opened) == ["a"]
    await opened.write(adding("b"))
    assert await names(opened) == ["a", "b"]


async def test_a_connection_that_breaks_in_the_middle_of_the_work_is_nobodys_trouble(
    opened: Database, postgres: PostgresServer
) -> None:
    broken: list[int] = []

    def breaking(connection: Connection) -> None:
        connection.execute(ADD, {"name": "a"})
        if not broken:
            broken.append(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
            with postgres.administration() as other:
                other.execute("SELECT pg_terminate_backend(%s)", (broken[0],))
        connection.execute(ADD, {"name": "b"})

    await opened.write(breaking)
    assert broken
    assert await names(opened) == ["a", "b"]


class Cutter:
    """A proxy that, once armed, cuts the connection at the next COMMIT: before it, or when its answer is on the way."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.armed: str | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._upstream))
                committing = threading.Event()
                for one in (self._forward, self._return):
                    threading.Thread(target=one, args=(client, server, committing), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket, committing: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65_536):
                if self.armed and b"COMMIT\0" in data:
                    if self.armed == "before":
                        self.armed = None
                        break
                    committing.set()
                server.sendall(data)
        self._cut(client, server)

    def _return(self, client: socket.socket, server: socket.socket, committing: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                if committing.is_set():  # it is committed: this is the word of it
                    self.armed = None
                    break
                client.sendall(data)
        self._cut(client, server)

    def _cut(self, *sides: socket.socket) -> None:
        for side in sides:
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()


@pytest.fixture
def cutter(postgres: PostgresServer) -> Iterator[Cutter]:
    cutter = Cutter(postgres.port)
    yield cutter
    cutter.close()


@pytest.fixture
async def through(cutter: Cutter, postgres: PostgresServer, postgres_url: str) -> AsyncIterator[Database]:
    url = postgres_url.replace(f":{postgres.port}/", f":{cutter.port}/")
    database = await Database.open_on(PostgresBackend(url))
    yield database
    await database.close()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_connection_lost_inside_commit_is_resolved_by_reading(
    world_of: WorldOf, through: Database, cutter: Cutter, when: str
) -> None:
    world = world_of(through)
    await world.furnish()
    cutter.armed = when
    command = submission()
    outcome = as_a(Submitted, await world.do(command))
    assert (outcome.job_id, outcome.existing) == (command.job.id, when == "after")
    session = await open_session(world)
    cutter.armed = when
    (claim,) = await take(world, session, 3)
    assert claim.job.id == command.job.id
    cutter.armed = when
    assert isinstance(await world.do(success(claim)), object)
    assert cutter.armed is None
    assert await world.store.counts(ENDPOINT.id) == {JobState.SUCCEEDED: 1}
    assert await world.read(claim.job.output.result) == b"result"


async def test_of_other_work_nobody_claims_to_know(through: Database, cutter: Cutter) -> None:
    for when, name in (("before", "a"), ("after", "b")):
        cutter.armed = when
        with pytest.raises(StoreUnavailable):
            await through.write(adding(name))
    assert await names(through) == ["b"]


async def test_a_deadlock_runs_again(opened: Database, postgres: PostgresServer, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET deadlock_timeout = '20ms'")
    await opened.write(adding("a"))
    await opened.write(adding("b"))
    other = await Database.open_on(PostgresBackend(postgres_url))
    both = threading.Barrier(2)

    def changing(first: str, second: str):
        met = []

        def work(connection: Connection) -> str:
            change = text("UPDATE documents SET created_at_ms = created_at_ms + 1 WHERE kind = 'k' AND name = :name")
            connection.execute(change, {"name": first})
            if not met:
                met.append(True)
                both.wait(30)
            connection.execute(change, {"name": second})
            return first

        return work

    assert await asyncio.gather(opened.write(changing("a", "b")), other.write(changing("b", "a"))) == ["a", "b"]
    await other.close()
    found = await opened.read(
        lambda connection: connection.execute(text("SELECT created_at_ms FROM documents")).scalars().all()
    )
    assert found == [3, 3]


async def test_commits_are_durable_whatever_the_database_says(postgres: PostgresServer, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET synchronous_commit = 'off'")
    try:
        database = await Database.open_on(PostgresBackend(postgres_url))
        asked = text("SELECT current_setting('synchronous_commit'), current_setting('transaction_isolation')")
        assert await database.write(lambda connection: tuple(connection.execute(asked).one())) == (
            "on",
            "read committed",
        )
        await database.close()
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {connection.info.dbname} RESET synchronous_commit")


async def test_a_read_cannot_write(opened: Database) -> None:
    with pytest.raises(Exception, match="read-only"):
        await opened.read(adding("a"))
    assert await names(opened) == []


# ---------------------------------------------------------------- hints


async def test_one_notification_at_most_goes_out_with_a_commit(
    world_of: WorldOf, opened: Database, postgres_url: str
) -> None:
    world = world_of(opened)
    await world.furnish()
    with psycopg.connect(postgres_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        await world.store.apply([submission() for _ in range(20)])
        session = await open_session(world)
        claims = await take(world, session, 20)
        await world.store.apply([success(claim) for claim in claims])
        heard = list(listener.notifies(timeout=0.2))
    assert [json.loads(one.payload) for one in heard] == [[ENDPOINT.id]]


async def test_hints_are_heard_also_after_their_connection_was_lost(
    world_of: WorldOf, opened: Database, postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seatrial.adapters.sql.hints.HINTS_RETRY_SECONDS", 0.05)
    world = world_of(opened)
    await world.furnish()
    heard: asyncio.Queue[list[str]] = asyncio.Queue()
    hints = Hints(postgres_url, heard.put_nowait, asyncio.get_running_loop())
    assert await heard.get() == []
    await submit(world)
    assert await heard.get() == [ENDPOINT.id]
    with postgres.administration() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    assert await heard.get() == []
    await submit(world)
    assert await heard.get() == [ENDPOINT.id]
    await asyncio.to_thread(hints.close)


# ---------------------------------------------------------------- set up wrong


async def refusal(url: str) -> str:
    with pytest.raises(DatabaseUnusable) as caught:
        await open_database(Path("unused"), url)
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_who_set_it_up_wrong_is_told_what_to_do(postgres: PostgresServer) -> None:
    assert "refused seatrial: check the user and the password" in await refusal(postgres.url(password="another"))
    assert "createdb" in await refusal(postgres.url("not_there"))
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    nobody = f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/x"
    assert f"127.0.0.1:{port}, database 'x' cannot be reached" in await refusal(nobody)
    assert "cannot be read" in await refusal(f"postgresql://u:{PASSWORD}@h/x?no_such_parameter=1")


async def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "seatrial.adapters.sql.postgres")
    assert "pip install 'seatrial[postgres]'" in await refusal("postgresql://h/x")
