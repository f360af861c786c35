"""ports.triggers.TriggerStore on the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.object_events import (
    Change,
    note_change,
    noted,
    object_events,
    read_trigger,
    trigger_values,
    triggers,
)
from seatrial.adapters.sql.object_names import change_of
from seatrial.domain.objects import ObjectInfo, ObjectName
from seatrial.domain.triggers import EventState, ObjectChange, ObjectEvent, Origin, Trigger

_ORDER = (triggers.c.bucket, triggers.c.name, triggers.c.id)
_BY_ID = select(triggers).where(triggers.c.id == bindparam("id"))
_EVENT = (
    *(column.label(f"event_{column.name}") for column in object_events.c),
    *triggers.c,
)
_WITH_TRIGGER = select(*_EVENT).select_from(
    object_events.outerjoin(triggers, triggers.c.id == object_events.c.trigger_id)
)
_DUE = (
    _WITH_TRIGGER.where(object_events.c.state == "waiting", object_events.c.next_at_ms <= bindparam("now_ms"))
    .order_by(object_events.c.next_at_ms, object_events.c.seq)
    .limit(bindparam("most"))
)
_OF_TRIGGER = (
    _WITH_TRIGGER.where(object_events.c.trigger_id == bindparam("trigger_id"))
    .order_by(object_events.c.seq.desc())
    .limit(bindparam("most"))
)
_SETTLE = (
    update(object_events)
    .where(object_events.c.id == bindparam("of"))
    .values(state=bindparam("became"), outcome=bindparam("told"), next_at_ms=bindparam("then"))
)
_POSTPONE = (
    update(object_events)
    .where(object_events.c.id == bindparam("of"))
    .values(outcome=bindparam("told"), next_at_ms=bindparam("then"), tries=object_events.c.tries + 1)
)
_OVER = (
    select(object_events.c.seq)
    .where(object_events.c.state != "waiting", object_events.c.next_at_ms <= bindparam("before_ms"))
    .limit(bindparam("most"))
)


class SqlTriggers:
    """Triggers and events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def triggers(self, bucket: str | None = None, origin: Origin | None = None) -> list[Trigger]:
        """See the port."""
        query = select(triggers).order_by(*_ORDER)
        if bucket is not None:
            query = query.where(triggers.c.bucket == bucket)
        if origin is None:
            query = query.where(triggers.c.origin != Origin.UPLOAD.value)
        else:
            query = query.where(triggers.c.origin == origin.value)
        return await self._database.read(lambda conn: [read_trigger(row) for row in conn.execute(query)])

    async def trigger(self, trigger_id: str) -> Trigger | None:
        """See the port."""
        row = await self._database.read(lambda conn: conn.execute(_BY_ID, {"id": trigger_id}).first())
        return None if row is None else read_trigger(row)

    async def replace(self, bucket: str, origin: Origin, wanted: Sequence[Trigger]) -> None:
        """See the port."""
        await self._database.write(partial(_replace, bucket=bucket, origin=origin, wanted=wanted))

    async def add(self, trigger: Trigger) -> bool:
        """See the port."""
        return await self._database.write(partial(_add, trigger=trigger))

    async def put(self, trigger: Trigger) -> None:
        """See the port."""
        await self._database.write(partial(_put, trigger=trigger))

    async def remove(self, trigger_id: str) -> bool:
        """See the port."""
        query = delete(triggers).where(triggers.c.id == trigger_id)
        return await self._changed(query, {}) > 0

    async def waiting(self, now_ms: int, limit: int) -> list[ObjectEvent]:
        """See the port."""
        return await self._events(_DUE, {"now_ms": now_ms, "most": limit})

    async def settle(self, event_id: str, state: EventState, outcome: str, now_ms: int) -> None:
        """See the port."""
        await self._changed(_SETTLE, {"of": event_id, "became": state.value, "told": outcome, "then": now_ms})

    async def postpone(self, event_id: str, why: str, next_at_ms: int) -> None:
        """See the port."""
        await self._changed(_POSTPONE, {"of": event_id, "told": why, "then": next_at_ms})

    async def events(self, trigger_id: str, limit: int) -> list[ObjectEvent]:
        """See the port."""
        return await self._events(_OF_TRIGGER, {"trigger_id": trigger_id, "most": limit})

    async def note(self, found: Sequence[ObjectInfo]) -> int:
        """See the port."""
        return await self._database.write(partial(_note, found=found)) if found else 0

    async def forget(self, before_ms: int, limit: int) -> int:
        """See the port."""
        return await self._database.write(partial(_forget, before_ms=before_ms, limit=limit))

    async def _events(self, query: Any, values: dict[str, Any]) -> list[ObjectEvent]:
        return await self._database.read(lambda conn: [_read_event(row) for row in conn.execute(query, values)])

    async def _changed(self, statement: Any, values: dict[str, Any]) -> int:
        work: Callable[[Connection], int] = lambda conn: conn.execute(statement, values).rowcount  # noqa: E731
        return await self._database.write(work)


def _replace(conn: Connection, bucket: str, origin: Origin, wanted: Sequence[Trigger]) -> None:
    of_origin = (triggers.c.bucket == bucket) & (triggers.c.origin == origin.value)
    kept = set(conn.execute(select(triggers.c.id).where(of_origin)).scalars())
    ids = [one.id for one in wanted]
    conn.execute(delete(triggers).where(of_origin, triggers.c.id.not_in(ids)))
    for one in wanted:
        if one.id not in kept:
            conn.execute(insert(triggers), trigger_values(one))


def _add(conn: Connection, trigger: Trigger) -> bool:
    if conn.execute(_BY_ID, {"id": trigger.id}).first() is not None:
        return False
    conn.execute(insert(triggers), trigger_values(trigger))
    return True


def _put(conn: Connection, trigger: Trigger) -> None:
    if not _add(conn, trigger):
        values = trigger_values(trigger)
        values = {name: value for name, value in values.items() if name not in ("id", "created_at_ms")}
        conn.execute(update(triggers).where(triggers.c.id == trigger.id).values(**values))


def _note(conn: Connection, found: Sequence[ObjectInfo]) -> int:
    for info in found:
        sealed, media_type = info.sealed, info.media_type or None
        how, at_ms = change_of(sealed), info.modified_at_ms
        note_change(conn, Change(info.name, how, at_ms, sealed.size_bytes, sealed.etag, media_type), found=True)
    return noted(conn)


def _forget(conn: Connection, before_ms: int, limit: int) -> int:
    seqs = list(conn.execute(_OVER, {"before_ms": before_ms, "most": limit}).scalars())
    if seqs:
        conn.execute(delete(object_events).where(object_events.c.seq.in_(seqs)))
    return len(seqs)


def _read_event(row: Any) -> ObjectEvent:
    return ObjectEvent(
        id=row.event_id,
        sequencer=row.event_seq,
        trigger=None if row.id is None else read_trigger(row),
        name=ObjectName(row.event_bucket, bytes(row.event_key).decode()),
        change=ObjectChange(row.event_change),
        version=row.event_version,
        at_ms=row.event_at_ms,
        size_bytes=row.event_size_bytes,
        etag=row.event_etag,
        media_type=row.event_media_type,
        tries=row.event_tries,
        state=EventState(row.event_state),
        outcome=row.event_outcome,
    )
