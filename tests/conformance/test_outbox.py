"""The outbox on SQLite and on PostgreSQL: the conformance suite."""

from collections.abc import Callable

import pytest

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.outbox import SqlOutbox
from seatrial.testing.job_store import World
from seatrial.testing.outbox import OutboxExamples


class TestOutbox(OutboxExamples):
    @pytest.fixture
    async def world(self, database: Database, world_of: Callable[..., World]) -> World:
        world = world_of(database)
        await world.furnish()
        return world

    @pytest.fixture
    async def outbox(self, database: Database) -> SqlOutbox:
        return SqlOutbox(database)
