"""The job store on SQLite: the conformance suite."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.job_store import SqlJobStore
from seatrial.adapters.sql.object_names import create_bucket, head_name
from seatrial.adapters.sql.registry import SqlRegistry
from seatrial.domain.objects import ObjectName
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject
from seatrial.testing.job_machine import JobStoreMachine
from seatrial.testing.job_publication import PUBLISH_WITHIN_MS, PublicationExamples, SupersedingExamples
from seatrial.testing.job_store import JobStoreExamples, World


@asynccontextmanager
async def sqlite_world(folder: Path, publish_within_ms: int | None = None) -> AsyncIterator[World]:
    database = await Database.open(folder / "seatrial.sqlite")

    async def read(name: ObjectName) -> bytes | None:
        try:
            return (await database.read(lambda connection: head_name(connection, name))).sealed.inline
        except (NoSuchBucket, NoSuchObject):
            return None

    async def make(bucket: str) -> None:
        await database.write(lambda connection: create_bucket(connection, bucket, 1))

    try:
        yield World(SqlJobStore(database, publish_within_ms), SqlRegistry(database), make, read)
    finally:
        await database.close()


class TestExamples(JobStoreExamples):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[World]:
        async with sqlite_world(tmp_path) as world:
            await world.furnish()
            yield world


class TestSuperseding(SupersedingExamples):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[World]:
        async with sqlite_world(tmp_path) as world:
            await world.furnish()
            yield world


class TestPublication(PublicationExamples, SupersedingExamples):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[World]:
        async with sqlite_world(tmp_path, PUBLISH_WITHIN_MS) as world:
            await world.furnish()
            yield world


class SqliteMachine(JobStoreMachine):
    open_world = staticmethod(sqlite_world)


SqliteMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestMachine = pytest.mark.timeout(600)(SqliteMachine.TestCase)  # a failing example is made small first
