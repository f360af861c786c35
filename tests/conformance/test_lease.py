"""The lease of a server that uses a shared database alone."""

import asyncio
from collections.abc import Callable
from functools import partial

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.lease import Holder, begin_lease, end_lease
from seatrial.adapters.sql.postgres import PostgresBackend
from seatrial.testing.job_store import World, open_session

HOUR_MS = 3_600_000
HERE, THERE = "word:host:/here", "word:host:/there: it"


async def begin(database: Database, server: str, home: str, lease_ms: int = HOUR_MS) -> Holder | None:
    return await database.write(partial(begin_lease, server=server, home=home, lease_ms=lease_ms))


async def test_a_lease_stands_until_it_lapses_or_is_ended(database: Database) -> None:
    assert await begin(database, "one", THERE) is None
    assert await begin(database, "one again", THERE) is None  # that folder has its own lock
    held = await begin(database, "two", HERE)
    assert held is not None
    assert HOUR_MS / 2 < held.left_ms <= HOUR_MS
    assert str(held) == "another server, on host with the data folder /there: it"
    await database.write(partial(end_lease, server="one"))
    assert await begin(database, "two", HERE) is not None
    await database.write(partial(end_lease, server="one again"))
    assert await begin(database, "two", HERE) is None
    assert await begin(database, "three", THERE, lease_ms=-1) is None


async def test_a_lease_is_not_ended_while_a_session_needs_it(
    database: Database, world_of: Callable[..., World]
) -> None:
    world = world_of(database)
    await world.furnish()
    await begin(database, "server-1", THERE)
    await open_session(world)
    await database.write(partial(end_lease, server="server-1"))
    assert await begin(database, "two", HERE) is not None


async def test_of_servers_that_start_at_once_one_has_the_lease(postgres_url: str) -> None:
    databases = [await Database.open_on(PostgresBackend(postgres_url)) for _ in range(3)]
    try:
        held = await asyncio.gather(*(begin(one, f"server {n}", f"word:host:/{n}") for n, one in enumerate(databases)))
    finally:
        for one in databases:
            await one.close()
    assert held.count(None) == 1
