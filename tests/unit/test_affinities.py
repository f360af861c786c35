"""Affinities: what a worker holds, and that a job goes to the idle worker that holds its own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.job_store import SqlJobStore
from seatrial.adapters.sql.registry import SqlRegistry
from seatrial.adapters.system.clock import SystemClock
from seatrial.domain.limits import AFFINITIES_HELD_MAX
from seatrial.engine.affinities import Affinities
from seatrial.engine.bells import Bells
from seatrial.engine.bounds import Bounds
from seatrial.engine.dispatch import Dispatcher
from seatrial.engine.watch import Watch
from seatrial.testing.job_store import ENDPOINT, submission, version

WAIT_MS = 30_000


def test_a_worker_holds_those_that_it_ran_last() -> None:
    affinities = Affinities()
    names = [f"a{n}" for n in range(AFFINITIES_HELD_MAX + 1)]
    for name in (*names[:-1], names[0], None, names[-1]):
        affinities.ran(name)
    assert affinities.held == frozenset(names) - {names[1]}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlJobStore]:
    database = await Database.open(tmp_path / "seatrial.db")
    await SqlRegistry(database).create_endpoint(ENDPOINT, version("v1", 1))
    yield SqlJobStore(database)
    await database.close()


async def test_an_idle_worker_that_holds_it_gets_the_job_and_any_other_without_one(store: SqlJobStore) -> None:
    bells, clock = Bells(), SystemClock()
    source = Dispatcher(store, Watch(), bells, clock, "server", Bounds())
    holder, other = [await source.open(version("v1", 1), "process") for _ in range(2)]

    async def submitted() -> str:
        command = submission(affinity="a", submitted_at_ms=clock.now_ms(), decide_by_ms=clock.now_ms() + 60_000)
        await store.apply([command])
        bells.ring(ENDPOINT.id)
        return command.job.id

    waiting = asyncio.create_task(source.take(other, 1, WAIT_MS))  # it is the first to wait, and to wake
    holding = asyncio.create_task(source.take(holder, 1, WAIT_MS, frozenset({"a"})))
    await asyncio.sleep(0)
    await store.check()  # comes after what they asked: both wait
    job_id = await submitted()
    assert [claim.job.id for claim in await holding] == [job_id]
    assert not waiting.done()
    later = await submitted()
    assert [claim.job.id for claim in await waiting] == [later]
