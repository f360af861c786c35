"""Triggers and the events that set them off, as rows: an event is written in the transaction that changes a name."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    insert,
    select,
)

from seatrial.adapters.sql.metadata import metadata
from seatrial.adapters.sql.prepared import Prepared
from seatrial.adapters.sql.query import Query
from seatrial.domain.objects import ObjectName
from seatrial.domain.triggers import EventState, ObjectChange, Origin, Trigger, TriggerKind

_JSON = JSON(none_as_null=True)

triggers = Table(
    "triggers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("bucket", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("events", _JSON, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("suffix", Text, nullable=False),
    Column("key", Text),  # of one object; NULL: of all that have prefix and suffix
    Column("options", _JSON, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("ix_triggers_bucket_key", triggers.c.bucket, triggers.c.key)

object_events = Table(
    "object_events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("trigger_id", Text, nullable=False),
    Column("bucket", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("change", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("size_bytes", BigInteger),
    Column("etag", Text),
    Column("media_type", Text),
    Column("at_ms", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("next_at_ms", BigInteger, nullable=False),
    UniqueConstraint("trigger_id", "bucket", "key", "change", "version", name="uq_object_events_once"),
    CheckConstraint("state IN ('done', 'failed', 'waiting')", name="state"),
    sqlite_autoincrement=True,  # a sequencer never comes twice
)
_waits = object_events.c.state == "waiting"
Index("ix_object_events_next", object_events.c.next_at_ms, sqlite_where=_waits, postgresql_where=_waits)

_STANDING = Query(
    select(triggers).where(triggers.c.bucket.in_(bindparam("buckets", expanding=True)), triggers.c.key.is_(None)),
    ["buckets"],
)
_OF_KEY = Query(select(triggers).where(triggers.c.bucket == bindparam("bucket"), triggers.c.key == bindparam("key")))
_ADD = Prepared(
    insert(object_events).inline(),  # nobody asks for the numbers of the rows
    [column.name for column in object_events.c if column.name != "seq"],
    "ON CONFLICT DO NOTHING",
)
_NOTED = "seatrial.noted"
_FOUND_RESOLUTION_MS = 1_000  # S3 tells when an object came in whole seconds


@dataclass(frozen=True, slots=True)
class Change:
    """One object that came (or went: without size and ETag)."""

    name: ObjectName
    change: ObjectChange
    at_ms: int
    size_bytes: int | None = None
    etag: str | None = None
    media_type: str | None = None

    @property
    def version(self) -> str:
        """The same bytes put at another time are another version, and set triggers off again."""
        return f"{self.etag or 'gone'}@{self.at_ms}"


def note_change(conn: Connection, change: Change, *, found: bool = False) -> None:
    """Write down what one changed name sets off.

    Of an object that was `found` by a listing, only the clock tells whether a trigger was there before it.
    """
    rows = _STANDING.all(conn, {"buckets": [change.name.bucket]})
    rows += _OF_KEY.all(conn, {"bucket": change.name.bucket, "key": change.name.key})
    known = [read_trigger(row) for row in rows]
    if found:
        known = [one for one in known if one.created_at_ms < change.at_ms + _FOUND_RESOLUTION_MS]
    _write(conn, [(one, change) for one in known])


def note_changes(conn: Connection, changes: Sequence[Change]) -> None:
    """The same of many names, none of which a job waits for."""
    buckets = sorted({change.name.bucket for change in changes})
    standing = [read_trigger(row) for row in _STANDING.all(conn, {"buckets": buckets})]
    _write(conn, [(one, change) for change in changes for one in standing if one.bucket == change.name.bucket])


def noted(conn: Connection) -> int:
    """How many events were written since this was last asked."""
    count: int = conn.info.pop(_NOTED, 0)
    return count


def read_trigger(row: Any) -> Trigger:
    """The trigger of a row."""
    return Trigger(
        id=row.id,
        owner=row.owner,
        bucket=row.bucket,
        kind=TriggerKind(row.kind),
        target=row.target,
        origin=Origin(row.origin),
        name=row.name,
        created_at_ms=row.created_at_ms,
        events=frozenset(row.events),
        prefix=row.prefix,
        suffix=row.suffix,
        key=row.key,
        options=row.options,
    )


def trigger_values(trigger: Trigger) -> dict[str, Any]:
    """The row of a trigger."""
    return {
        "id": trigger.id,
        "owner": trigger.owner,
        "bucket": trigger.bucket,
        "kind": trigger.kind.value,
        "target": trigger.target,
        "origin": trigger.origin.value,
        "name": trigger.name,
        "events": sorted(trigger.events),
        "prefix": trigger.prefix,
        "suffix": trigger.suffix,
        "key": trigger.key,
        "options": dict(trigger.options),
        "created_at_ms": trigger.created_at_ms,
    }


def _write(conn: Connection, pairs: Sequence[tuple[Trigger, Change]]) -> None:
    rows = [_values(one, change) for one, change in pairs if one.wants(change.name.key, change.change)]
    if rows:
        conn.info[_NOTED] = conn.info.get(_NOTED, 0) + _ADD.run(conn, rows)


def _values(trigger: Trigger, change: Change) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex,
        "trigger_id": trigger.id,
        "bucket": change.name.bucket,
        "key": change.name.key.encode(),
        "change": change.change.value,
        "version": change.version,
        "size_bytes": change.size_bytes,
        "etag": change.etag,
        "media_type": change.media_type,
        "at_ms": change.at_ms,
        "tries": 0,
        "state": EventState.WAITING.value,
        "outcome": "",
        "next_at_ms": change.at_ms,
    }
