"""Names that jobs make visible: most are new, and those cost one statement together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from seatrial.adapters.sql.object_names import buckets, objects, reveal_name
from seatrial.adapters.sql.prepared import Prepared
from seatrial.domain.objects import ObjectName, Sealed

_BUCKET = (
    select(buckets.c.name)
    .where(buckets.c.name == bindparam("bucket"))
    .with_for_update(read=True, key_share=True)  # it stays as long as names are on their way into it
)
_HELD = select(objects.c.key).where(
    objects.c.bucket == bindparam("bucket"), objects.c.key.in_(bindparam("keys", expanding=True))
)
_ADD = Prepared(insert(objects), [column.name for column in objects.c])


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
            found = self._connection.execute(_BUCKET, {"bucket": name.bucket}).first()
            self._buckets[name.bucket] = found is not None
        return self._buckets[name.bucket]

    def add(self, name: ObjectName, sealed: Sealed, media_type: str, now_ms: int) -> None:
        """Let the name, which is `possible`, hold these bytes."""
        self._names.append(_Visible(name, sealed, media_type, now_ms))

    def write(self) -> None:
        """Write the names; to be called once, at the end."""
        held = self._held()
        fresh: list[_Visible] = []
        replacing: list[_Visible] = []
        for one in self._names:
            (replacing if one.name in held else fresh).append(one)
            held.add(one.name)
        if fresh:
            _ADD.run(self._connection, [_values(one) for one in fresh])
        for one in replacing:
            reveal_name(self._connection, one.name, one.sealed, one.media_type, {}, None, one.now_ms)

    def _held(self) -> set[ObjectName]:
        held: set[ObjectName] = set()
        for bucket in {one.name.bucket for one in self._names}:
            keys: Sequence[bytes] = [one.name.key.encode() for one in self._names if one.name.bucket == bucket]
            found = self._connection.execute(_HELD, {"bucket": bucket, "keys": keys}).scalars()
            held.update(ObjectName(bucket, key.decode()) for key in found)
        return held


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
