"""The job store on SQLite and on PostgreSQL: the conformance suite."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.postgres import PostgresBackend
from seatrial.testing.job_machine import JobStoreMachine
from seatrial.testing.job_publication import PUBLISH_WITHIN_MS, PublicationExamples, SupersedingExamples
from seatrial.testing.job_store import JobStoreExamples, World

WorldOf = Callable[..., World]


class TestExamples(JobStoreExamples):
    @pytest.fixture
    async def world(self, database: Database, world_of: WorldOf) -> World:
        world = world_of(database)
        await world.furnish()
        return world


class TestSuperseding(SupersedingExamples):
    @pytest.fixture
    async def world(self, database: Database, world_of: WorldOf) -> World:
        world = world_of(database)
        await world.furnish()
        return world


class TestPublication(PublicationExamples, SupersedingExamples):
    @pytest.fixture
    async def world(self, database: Database, world_of: WorldOf) -> World:
        world = world_of(database, PUBLISH_WITHIN_MS)
        await world.furnish()
        return world


class SqliteMachine(JobStoreMachine):
    world_of: WorldOf

    @classmethod
    @asynccontextmanager
    async def open_world(cls, folder: Path) -> AsyncIterator[World]:
        database = await Database.open(folder / "seatrial.sqlite")
        yield cls.world_of(database)
        await database.close()


class PostgresMachine(JobStoreMachine):
    world_of: WorldOf
    emptied: Callable[[], str]

    @classmethod
    @asynccontextmanager
    async def open_world(cls, _folder: Path) -> AsyncIterator[World]:
        database = await Database.open_on(PostgresBackend(cls.emptied()))
        yield cls.world_of(database)
        await database.close()


@pytest.fixture(scope="session", autouse=True)
def _what_the_machines_need(emptied: Callable[[], str], world_of: WorldOf) -> None:
    PostgresMachine.emptied = staticmethod(emptied)
    for machine in (SqliteMachine, PostgresMachine):
        machine.world_of = staticmethod(world_of)


SqliteMachine.TestCase.settings = settings(max_examples=18, stateful_step_count=40, deadline=None)
PostgresMachine.TestCase.settings = settings(max_examples=18, stateful_step_count=40, deadline=None)
patient = pytest.mark.timeout(600)  # a failing example is made small first
TestMachineOnSqlite = patient(SqliteMachine.TestCase)
TestMachineOnPostgres = patient(PostgresMachine.TestCase)
