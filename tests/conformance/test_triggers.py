"""Triggers and the events that set them off, on SQLite and on PostgreSQL."""

import hashlib
from dataclasses import replace

import pytest

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.object_names import SqlObjectNames
from seatrial.adapters.sql.triggers import SqlTriggers
from seatrial.domain.objects import ObjectInfo, ObjectName, PutCondition, Sealed
from seatrial.domain.triggers import EventState, ObjectChange, Origin, Trigger, TriggerKind
from seatrial.ports.object_store import ConditionFailed

BUCKET = "plans"
RULE = Trigger(
    "t1", "owner", BUCKET, TriggerKind.ENDPOINT, "echo", Origin.SETTING, "rule", 1_000, prefix="in/", suffix=".png"
)


def sealed(body: bytes) -> Sealed:
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return Sealed(len(body), hashlib.sha256(body).hexdigest(), md5, inline=body)


@pytest.fixture
async def names(database: Database) -> SqlObjectNames:
    made = SqlObjectNames(database)
    await made.create_bucket(BUCKET, 1)
    return made


@pytest.fixture
async def triggers(database: Database, names: SqlObjectNames) -> SqlTriggers:
    made = SqlTriggers(database)
    assert await made.add(RULE)
    return made


async def put(names: SqlObjectNames, key: str, body: bytes = b"x", now_ms: int = 2_000, **more: object) -> ObjectInfo:
    return await names.reveal(ObjectName(BUCKET, key), sealed(body), "image/png", {}, more.get("condition"), now_ms)


async def test_a_name_that_appears_sets_off_what_it_fits_once(names: SqlObjectNames, triggers: SqlTriggers) -> None:
    for key in ("in/a.png", "in/a.jpg", "out/a.png", "in/ä b.png"):
        await put(names, key)
    await put(names, "in/a.png")  # the very same change, repeated after an unknown commit
    events = await triggers.waiting(2_000, 10)
    assert [event.name.key for event in events] == ["in/a.png", "in/ä b.png"]
    (first, second) = events
    assert (first.trigger, first.change, first.size_bytes, first.at_ms) == (RULE, ObjectChange.PUT, 1, 2_000)
    assert first.sequencer < second.sequencer
    await put(names, "in/a.png", now_ms=3_000)  # the same bytes at another time
    assert len(await triggers.waiting(3_000, 10)) == 3


async def test_what_does_not_appear_sets_nothing_off(names: SqlObjectNames, triggers: SqlTriggers) -> None:
    await put(names, "in/a.png")
    with pytest.raises(ConditionFailed):
        await put(names, "in/a.png", b"other", 5_000, condition=PutCondition(if_none_match=True))
    assert len(await triggers.waiting(9_000, 10)) == 1


async def test_events_are_postponed_settled_and_forgotten(names: SqlObjectNames, triggers: SqlTriggers) -> None:
    await put(names, "in/a.png")
    (event,) = await triggers.waiting(2_000, 10)
    await triggers.postpone(event.id, "busy", 5_000)
    assert await triggers.waiting(4_999, 10) == []
    (again,) = await triggers.waiting(5_000, 10)
    assert (again.tries, again.outcome) == (1, "busy")
    await triggers.settle(event.id, EventState.DONE, "job j", 6_000)
    assert await triggers.waiting(9_000, 10) == []
    (shown,) = await triggers.events("t1", 10)
    assert (shown.state, shown.outcome) == (EventState.DONE, "job j")
    assert (await triggers.forget(5_999, 10), await triggers.forget(6_000, 10)) == (0, 1)


async def test_copies_and_deletions_are_told_apart(names: SqlObjectNames, triggers: SqlTriggers) -> None:
    await triggers.add(replace(RULE, id="t2", name="gone", events=frozenset({"s3:ObjectRemoved:*"})))
    info = await put(names, "drafts/a.png")
    await names.copy(info.ref, ObjectName(BUCKET, "in/b.png"), "image/png", {}, None, 2_500)
    await names.delete(ObjectName(BUCKET, "in/b.png"), 3_000)
    await names.delete(ObjectName(BUCKET, "in/never.png"), 3_000)
    told = [(event.trigger and event.trigger.id, event.change) for event in await triggers.waiting(9_000, 10)]
    assert told == [("t1", ObjectChange.COPY), ("t2", ObjectChange.DELETED)]


async def test_a_configuration_is_replaced_and_goes_with_its_bucket(
    names: SqlObjectNames, triggers: SqlTriggers
) -> None:
    one, two = (replace(RULE, id=name, name=name, origin=Origin.NOTIFICATION) for name in ("n1", "n2"))
    await triggers.replace(BUCKET, Origin.NOTIFICATION, [one])
    await triggers.replace(BUCKET, Origin.NOTIFICATION, [replace(one, created_at_ms=9_000), two])
    assert await triggers.triggers(BUCKET, Origin.NOTIFICATION) == [one, two]
    assert (await triggers.add(RULE), await triggers.remove("t1"), await triggers.remove("t1")) == (False, True, False)
    await triggers.replace(BUCKET, Origin.NOTIFICATION, [])
    assert await triggers.triggers(BUCKET) == []
    await triggers.add(RULE)
    await names.delete_bucket(BUCKET)
    assert await triggers.triggers() == []


async def test_what_a_listing_finds_counts_once_and_not_from_before_the_trigger(triggers: SqlTriggers) -> None:
    def found(key: str, modified_at_ms: int) -> ObjectInfo:
        return ObjectInfo(ObjectName(BUCKET, key), sealed(b"x"), "", modified_at_ms)

    late = replace(RULE, id="t2", name="late", created_at_ms=50_000)
    await triggers.add(late)
    some = [found("in/early.png", 20_000), found("in/new.png", 60_000)]
    assert [await triggers.note(some), await triggers.note(some), await triggers.note([])] == [3, 0, 0]
    told = {(event.trigger and event.trigger.id, event.name.key) for event in await triggers.waiting(99_000, 10)}
    assert told == {("t1", "in/early.png"), ("t1", "in/new.png"), ("t2", "in/new.png")}


async def test_a_trigger_that_is_put_again_keeps_its_age_and_its_events(
    names: SqlObjectNames, triggers: SqlTriggers
) -> None:
    await put(names, "in/a.png")
    await triggers.put(replace(RULE, suffix=".jpg", created_at_ms=9_000))
    kept = await triggers.trigger(RULE.id)
    assert kept is not None
    assert (kept.suffix, kept.created_at_ms) == (".jpg", 1_000)
    assert [one.name.key for one in await triggers.events(RULE.id, 9)] == ["in/a.png"]
