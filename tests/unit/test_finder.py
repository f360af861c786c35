"""Objects are found by looking: an awaited one by name, others by listing, each version once, also after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from seatrial.adapters.objects.blobs import BlobFiles
from seatrial.adapters.objects.embedded import EmbeddedObjects
from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.object_names import SqlObjectNames
from seatrial.adapters.sql.triggers import SqlTriggers
from seatrial.domain.objects import ObjectName
from seatrial.domain.triggers import Origin, Trigger, TriggerKind
from seatrial.engine.bells import Bells
from seatrial.engine.finder import Finder

DAY_MS = 86_400_000
RULE = Trigger("t", "owner", "plans", TriggerKind.ENDPOINT, "echo", Origin.SETTING, "rule", 5_000, prefix="in/")
UPLOAD = replace(RULE, id="job", kind=TriggerKind.UPLOAD, origin=Origin.UPLOAD, prefix="", key="up/job")


class SetClock:
    now = 1_000

    def now_ms(self) -> int:
        return self.now

    def monotonic_ms(self) -> int:
        return self.now

    async def sleep_ms(self, duration_ms: int) -> None:
        self.now += duration_ms


class Yard:
    """An object store and a store of triggers that know nothing of each other."""

    def __init__(self, objects: EmbeddedObjects, triggers: SqlTriggers, clock: SetClock) -> None:
        self.objects, self.triggers, self.clock = objects, triggers, clock

    def finder(self) -> Finder:
        return Finder(self.objects, self.triggers, Bells(), self.clock)

    async def put(self, key: str, at_ms: int, body: bytes = b"x") -> None:
        self.clock.now = at_ms
        await self.objects.reveal(await self.objects.stage(body, 10), ObjectName("plans", key), "a/b", {})

    async def told(self) -> list[str]:
        return [event.name.key for event in await self.triggers.waiting(10**15, 100)]


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    clock = SetClock()
    there, here = await Database.open(tmp_path / "there.db"), await Database.open(tmp_path / "here.db")
    blobs = BlobFiles(tmp_path / "blobs")
    objects = EmbeddedObjects(SqlObjectNames(there), blobs, clock)
    await objects.create_bucket("plans")
    yield Yard(objects, SqlTriggers(here), clock)
    blobs.close()
    await there.close()
    await here.close()


async def test_each_version_is_found_once(yard: Yard) -> None:
    await yard.triggers.add(RULE)
    finder = yard.finder()
    await yard.put("in/early", 1_000)
    await yard.put("in/one", 6_000)
    await yard.put("out/other", 6_000)
    assert [await finder.look(), await finder.look(), await yard.finder().look()] == [1, 0, 0]
    await yard.put("in/one", 9_000, b"y")
    assert [await finder.look(), await finder.look()] == [1, 0]
    assert await yard.told() == ["in/one", "in/one"]


async def test_an_awaited_object_is_asked_for_by_its_name(yard: Yard) -> None:
    await yard.triggers.add(UPLOAD)
    finder = yard.finder()
    assert await finder.look() == 0
    await yard.put("up/job", 7_000)
    assert [await finder.look(), await finder.look()] == [1, 0]
    assert await yard.told() == ["up/job"]


async def test_what_is_older_than_events_are_kept_is_left_alone(yard: Yard) -> None:
    await yard.triggers.add(RULE)
    await yard.put("in/old", 6_000)
    yard.clock.now = 8 * DAY_MS
    assert await yard.finder().look() == 0


async def test_a_bucket_that_is_gone_harms_no_other(yard: Yard) -> None:
    await yard.triggers.add(RULE)
    await yard.triggers.add(replace(RULE, id="t2", bucket="nowhere"))
    await yard.put("in/one", 6_000)
    assert await yard.finder().look() == 1
