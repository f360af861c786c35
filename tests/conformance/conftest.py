"""The databases that every store must work on: SQLite, and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.job_store import SqlJobStore
from seatrial.adapters.sql.object_names import create_bucket, head_name
from seatrial.adapters.sql.postgres import PostgresBackend
from seatrial.adapters.sql.registry import SqlRegistry
from seatrial.domain.objects import ObjectName
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject
from seatrial.testing.job_store import World
from seatrial.testing.postgres import PostgresServer


@pytest.fixture(scope="session")
def emptied(postgres: PostgresServer) -> Callable[[], str]:
    """Makes the URL of a database whose rows are gone. Who had it before has closed it."""
    url = postgres.database()

    def empty() -> str:
        postgres.empty(url)
        return url

    return empty


@pytest.fixture
def postgres_url(emptied: Callable[[], str]) -> str:
    """Of an empty database."""
    return emptied()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A fresh database of each kind."""
    if request.param == "sqlite":
        database = await Database.open(tmp_path / "seatrial.sqlite")
    else:
        database = await Database.open_on(PostgresBackend(request.getfixturevalue("postgres_url")))
    yield database
    await database.close()


@pytest.fixture(scope="session")
def world_of() -> Callable[..., World]:
    """The job store and what its commands touch, on a database."""
    return _world_of


def _world_of(database: Database, publish_within_ms: int | None = None) -> World:
    async def read(name: ObjectName) -> bytes | None:
        def query(connection):
            try:
                return head_name(connection, name).sealed.inline
            except (NoSuchBucket, NoSuchObject):
                return None

        return await database.read(query)

    async def make(bucket: str) -> None:
        await database.write(lambda connection: create_bucket(connection, bucket, 1))

    return World(SqlJobStore(database, publish_within_ms), SqlRegistry(database), make, read)
