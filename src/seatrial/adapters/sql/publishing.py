"""Names that jobs make visible: most are new, and those cost one statement together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from seatrial.adapters.sql.object_events import Change, note_changes
from seatrial.adapters.sql.object_names import buckets, change_of, objects, reveal_name
from seatrial.adapters.sql.prepared import Prepared
from seatrial.adapters.sql.query import Query
from seatrial.domain.objects import ObjectName, Sealed

_BUCKET = Query(
    select(buckets.c.name)
    .where(buckets.c.name == bindparam("bucket"))
    .with_for_update(read=True, key_share=True)  # it stays as long as names are on their way into it
)
_ADD_NEW = Prepared(insert(objects), [column.name for column in objects.c], "ON CONFLICT DO NOTHING")


@dataclass(frozen=True, slots=True)
class _Visible:
    name: ObjectName
    sealed: Sealed
    media_type: str
    now_ms: int


class Publishing:
    """What one transaction will have made visible. No job command makes or removes a bucket."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._buckets: dict[str, bool] = {}
        self._names: list[_Visible] = []

    def possible(self, name: ObjectName) -> bool:
        """Whether the name's bucket exists."""
        if name.bucket not in self._buckets:
            found = _BUCKET.first(self._connection, {"bucket": name.bucket})
            self._buckets[name.bucket] = found is not None
        return self._buckets[name.bucket]

    def add(self, name: ObjectName, sealed: Sealed, media_type: str, now_ms: int) -> None:
        """Let the name, which is `possible`, hold these bytes."""
        self._names.append(_Visible(name, sealed, media_type, now_ms))

    def write(self) -> None:
        """Write the names; to be called once, at the end."""
        if not self._names:
            return
        note_changes(self._connection, [_change(one) for one in self._names])
        written = _ADD_NEW.run(self._connection, [_values(one) for one in self._names])
        if written == len(self._names):
            return
        for one in self._names:  # some were held, or come twice: each in its turn, which changes nothing for the new
            reveal_name(self._connection, one.name, one.sealed, one.media_type, {}, None, one.now_ms)


def _change(one: _Visible) -> Change:
    sealed = one.sealed
    return Change(one.name, change_of(sealed), one.now_ms, sealed.size_bytes, sealed.etag, one.media_type)


def _values(one: _Visible) -> dict[str, Any]:
    sealed = one.sealed
    return {
        "bucket": one.name.bucket,
        "key": one.name.key.encode(),
        "blob": sealed.blob,
        "size_bytes": sealed.size_bytes,
        "etag": sealed.etag,
        "sha256": sealed.sha256,
        "media_type": one.media_type,
        "metadata": {},
        "modified_at_ms": one.now_ms,
        "inline": sealed.inline,
    }
