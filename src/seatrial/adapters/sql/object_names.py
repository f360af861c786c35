"""The names of objects as rows: buckets, objects, and the blobs that no name needs any longer.

The functions work on a Connection inside somebody's transaction, so that a name can appear together with a
job's terminal state. Keys are bytes: both SQLite and PostgreSQL compare those as S3 does, in UTF-8 byte order.
A blob stays while any row names it; the transaction that drops the last name writes it into `blobs_to_remove`,
and only after that commit is the file removed. A crash between the two leaves garbage, never a missing file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Index,
    LargeBinary,
    RowMapping,
    Select,
    String,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    select,
    update,
)

from seatrial.adapters.sql.copies import blobs_in
from seatrial.adapters.sql.metadata import metadata as all_tables
from seatrial.adapters.sql.object_events import Change, note_change, noted, triggers
from seatrial.domain.limits import LIST_KEYS_MAX
from seatrial.domain.objects import (
    Bucket,
    ListPage,
    ObjectInfo,
    ObjectName,
    ObjectRef,
    PutCondition,
    Sealed,
)
from seatrial.domain.triggers import ObjectChange
from seatrial.ports.object_store import (
    BucketExists,
    BucketNotEmpty,
    ConditionFailed,
    NoSuchBucket,
    NoSuchObject,
    ObjectChanged,
    ObjectError,
)

T = TypeVar("T")

# ---------------------------------------------------------------- tables

buckets = Table(
    "buckets",
    all_tables,
    Column("name", String, primary_key=True),
    Column("created_at_ms", BigInteger, nullable=False),
)

objects = Table(
    "objects",
    all_tables,
    Column("bucket", String, primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("blob", String),
    Column("size_bytes", BigInteger, nullable=False),
    Column("etag", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("media_type", String, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("modified_at_ms", BigInteger, nullable=False),
    Column("inline", LargeBinary),  # last, so that a listing need not read it
)
_HAS_BLOB = objects.c.blob.is_not(None)
Index("ix_objects_blob", objects.c.blob, sqlite_where=_HAS_BLOB, postgresql_where=_HAS_BLOB)

blobs_to_remove = Table(
    "blobs_to_remove",
    all_tables,
    Column("blob", String, primary_key=True),
)

# ---------------------------------------------------------------- statements, built once

_NAME = and_(objects.c.bucket == bindparam("at_bucket"), objects.c.key == bindparam("at_key"))
_HELD = select(objects.c.blob, objects.c.etag).where(_NAME).with_for_update()
_SHARED = select(objects).where(_NAME).with_for_update(read=True)
_LISTED = [column for column in objects.c if column is not objects.c.inline]
_INSERT = insert(objects)
_UPDATE = (
    update(objects)
    .where(_NAME)
    .values({column.name: bindparam(column.name) for column in objects.c if not column.primary_key})
)
_DELETE = delete(objects).where(_NAME)
_WHOLE = select(objects).where(_NAME)
_PAGE = (
    select(*_LISTED)
    .where(
        objects.c.bucket == bindparam("at_bucket"),
        objects.c.key >= bindparam("low"),
        objects.c.key < bindparam("high"),
    )
    .order_by(objects.c.key)
    .limit(bindparam("row_limit"))
)
_BUCKET = select(buckets.c.name).where(buckets.c.name == bindparam("bucket"))
_BUCKET_KEPT = _BUCKET.with_for_update(read=True, key_share=True)
_BUCKET_ENDING = _BUCKET.with_for_update()
_BLOB_IS_NAMED = select(exists().where(objects.c.blob == bindparam("blob")))
_BLOB_IS_LISTED = select(blobs_to_remove.c.blob).where(blobs_to_remove.c.blob == bindparam("blob"))

_KEYS_END = b"\xff"  # no UTF-8 text begins with this byte
_FIRST_ROWS = 16  # rows read after a seek; doubled while no common prefix makes the next seek

# ---------------------------------------------------------------- names


def reveal_name(
    conn: Connection,
    name: ObjectName,
    sealed: Sealed,
    media_type: str,
    metadata: Mapping[str, str],
    condition: PutCondition | None,
    now_ms: int,
    change: ObjectChange | None = None,
) -> ObjectInfo:
    """Give sealed bytes a name, replacing what it held. Revealing the same blob again is no conflict.

    What that sets off is written down with it; `change` None: as the ETag tells.

    A blob whose last name was freed is gone: its Sealed must not be revealed again.

    Raises:
        NoSuchBucket, ConditionFailed
    """
    held = _held(conn, name)
    repeated = held is not None and sealed.blob is not None and held["blob"] == sealed.blob
    if condition is not None and not repeated:
        _check(condition, held, name)
    values = {
        "blob": sealed.blob,
        "size_bytes": sealed.size_bytes,
        "etag": sealed.etag,
        "sha256": sealed.sha256,
        "media_type": media_type,
        "metadata": dict(metadata),
        "modified_at_ms": now_ms,
        "inline": sealed.inline,
    }
    if held is not None:
        conn.execute(_UPDATE, values | _at(name))
    else:
        conn.execute(_INSERT, values | {"bucket": name.bucket, "key": name.key.encode()})
    if held is not None and held["blob"] is not None and held["blob"] != sealed.blob:
        _release(conn, held["blob"])
    if not repeated:
        how = change or change_of(sealed)
        note_change(conn, Change(name, how, now_ms, sealed.size_bytes, sealed.etag, media_type))
    return ObjectInfo(name, sealed, media_type, now_ms, dict(metadata))


def change_of(sealed: Sealed) -> ObjectChange:
    """How an object came, as its ETag tells: that of one made of parts ends in their number."""
    return ObjectChange.COMPLETED if "-" in sealed.etag else ObjectChange.PUT


def copy_name(
    conn: Connection,
    source: ObjectRef,
    target: ObjectName,
    media_type: str,
    metadata: Mapping[str, str],
    condition: PutCondition | None,
    now_ms: int,
) -> ObjectInfo:
    """Give the bytes of a name, if they are still those of the reference, another name; they are shared.

    Raises:
        NoSuchBucket, NoSuchObject, ObjectChanged, ConditionFailed
    """
    info = _head(conn, source.name, _SHARED)  # its blob stays named until the copy names it too
    if info.sealed.etag != source.etag:
        raise ObjectChanged(f"{source.name.uri} has changed")
    if condition is not None:  # here, because a copy onto its own source is no repetition
        _check(condition, _held(conn, target), target)
    return reveal_name(conn, target, info.sealed, media_type, metadata, None, now_ms, ObjectChange.COPY)


def head_name(conn: Connection, name: ObjectName) -> ObjectInfo:
    """What a name holds, inline bytes included.

    Raises:
        NoSuchBucket, NoSuchObject
    """
    return _head(conn, name, _WHOLE)


def _head(conn: Connection, name: ObjectName, statement: Select[Any]) -> ObjectInfo:
    row = conn.execute(statement, _at(name)).mappings().first()
    if row is None:
        _check_bucket(conn, name.bucket)
        raise NoSuchObject(f"{name.uri} does not exist")
    return _info(row)


def delete_name(conn: Connection, name: ObjectName, now_ms: int) -> None:
    """Free a name; a free name is no error. Raises NoSuchBucket."""
    held = _held(conn, name)
    if held is None:
        return
    conn.execute(_DELETE, _at(name))
    note_change(conn, Change(name, ObjectChange.DELETED, now_ms))
    if held["blob"] is not None:
        _release(conn, held["blob"])


def list_names(
    conn: Connection, bucket: str, prefix: str = "", delimiter: str = "", after: str = "", limit: int = LIST_KEYS_MAX
) -> ListPage:
    """One page in UTF-8 byte order; the objects come without their inline bytes.

    A common prefix costs one seek, however many keys lie below it. Raises NoSuchBucket.
    """
    _check_bucket(conn, bucket)
    found: list[RowMapping | bytes] = []
    for entry in _entries(conn, bucket, prefix.encode(), delimiter.encode(), after.encode(), limit + 1):
        found.append(entry)
        if len(found) > limit:
            break
    shown = found[:limit]
    more = bool(shown) and len(found) > limit
    return ListPage(
        objects=tuple(_info(entry) for entry in shown if not isinstance(entry, bytes)),
        prefixes=tuple(entry.decode() for entry in shown if isinstance(entry, bytes)),
        next_after=_key_of(shown[-1]).decode() if more else None,
    )


def _entries(
    conn: Connection, bucket: str, prefix: bytes, delimiter: bytes, after: bytes, most: int
) -> Iterator[RowMapping | bytes]:
    """Rows, and common prefixes as bytes, in order; from `after` on, endless as far as there are keys."""
    low, high = max(prefix, _past(after, prefix, delimiter)), _end(prefix)
    size = _FIRST_ROWS if delimiter else most
    while True:
        rows = conn.execute(_PAGE, {"at_bucket": bucket, "low": low, "high": high, "row_limit": size}).mappings().all()
        sought = False
        for row in rows:
            if row["key"] < low:  # below a common prefix that has been told
                continue
            common = _common_prefix(row["key"], prefix, delimiter)
            yield row if common is None else common
            low = row["key"] + b"\0" if common is None else _end(common)
            sought = sought or common is not None
        if len(rows) < size:
            return
        size = _FIRST_ROWS if sought else min(size * 2, LIST_KEYS_MAX)


def _past(after: bytes, prefix: bytes, delimiter: bytes) -> bytes:
    """The smallest key that comes after `after`, which may be a common prefix that is done with."""
    if not after:
        return b""
    if after.startswith(prefix) and _common_prefix(after, prefix, delimiter) == after:
        return _end(after)
    return after + b"\0"


def _common_prefix(key: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    if not delimiter:
        return None
    at = key.find(delimiter, len(prefix))
    return None if at < 0 else key[: at + len(delimiter)]


def _end(prefix: bytes) -> bytes:
    """The smallest bytes above everything that begins with the prefix; UTF-8 never holds 0xff."""
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else _KEYS_END


def _key_of(entry: RowMapping | bytes) -> bytes:
    return entry if isinstance(entry, bytes) else bytes(entry["key"])


def _held(conn: Connection, name: ObjectName) -> RowMapping | None:
    """What the name holds, kept so until this transaction ends; None: nothing, in a bucket that stays."""
    row = conn.execute(_HELD, _at(name)).mappings().first()
    if row is None and conn.execute(_BUCKET_KEPT, {"bucket": name.bucket}).first() is None:
        raise NoSuchBucket(name.bucket)
    return row


def _check(condition: PutCondition, held: RowMapping | None, name: ObjectName) -> None:
    held_etag = None if held is None else held["etag"]
    if condition.if_none_match and held_etag is not None:
        raise ConditionFailed(f"{name.uri} exists")
    if condition.if_match is not None and held_etag != condition.if_match:
        raise ConditionFailed(f"{name.uri} does not have the ETag {condition.if_match}")


def _at(name: ObjectName) -> dict[str, Any]:
    return {"at_bucket": name.bucket, "at_key": name.key.encode()}


def _info(row: RowMapping) -> ObjectInfo:
    return ObjectInfo(
        name=ObjectName(row["bucket"], bytes(row["key"]).decode()),
        sealed=Sealed(row["size_bytes"], row["sha256"], row["etag"], row["blob"], row.get("inline")),
        media_type=row["media_type"],
        modified_at_ms=row["modified_at_ms"],
        metadata=row["metadata"],
    )


# ---------------------------------------------------------------- buckets


def create_bucket(conn: Connection, bucket: str, now_ms: int) -> None:
    """Raises BucketExists."""
    if conn.execute(_BUCKET, {"bucket": bucket}).first() is not None:
        raise BucketExists(bucket)
    conn.execute(insert(buckets), {"name": bucket, "created_at_ms": now_ms})


def delete_bucket(conn: Connection, bucket: str) -> None:
    """With what its objects set off. Raises NoSuchBucket, BucketNotEmpty."""
    if conn.execute(_BUCKET_ENDING, {"bucket": bucket}).first() is None:
        raise NoSuchBucket(bucket)
    if conn.execute(select(objects.c.key).where(objects.c.bucket == bucket).limit(1)).first() is not None:
        raise BucketNotEmpty(bucket)
    conn.execute(delete(buckets).where(buckets.c.name == bucket))
    conn.execute(delete(triggers).where(triggers.c.bucket == bucket, triggers.c.key.is_(None)))


def all_buckets(conn: Connection) -> list[Bucket]:
    """All buckets, by name."""
    found = [Bucket(row.name, row.created_at_ms) for row in conn.execute(select(buckets))]
    return sorted(found, key=lambda bucket: bucket.name)  # databases differ in how they order text


def _check_bucket(conn: Connection, bucket: str) -> None:
    if conn.execute(_BUCKET, {"bucket": bucket}).first() is None:
        raise NoSuchBucket(bucket)


# ---------------------------------------------------------------- blobs


def _release(conn: Connection, blob: str) -> None:
    """Note a blob for removal if this was the last name that held it."""
    if conn.execute(_BLOB_IS_NAMED, {"blob": blob}).scalar():
        return
    if conn.execute(_BLOB_IS_LISTED, {"blob": blob}).first() is None:
        conn.execute(insert(blobs_to_remove), {"blob": blob})


def freed_blobs(conn: Connection, limit: int) -> list[str]:
    """Blobs that no name holds any longer and whose files may still be there."""
    return list(conn.execute(select(blobs_to_remove.c.blob).limit(limit)).scalars())


def forget_blobs(conn: Connection, blobs: Sequence[str]) -> None:
    """The files of these freed blobs have been removed."""
    conn.execute(delete(blobs_to_remove).where(blobs_to_remove.c.blob.in_(blobs)))


def named_blobs(conn: Connection, blobs: Sequence[str]) -> set[str]:
    """Those of the blobs that some name holds."""
    return set(conn.execute(select(objects.c.blob).where(objects.c.blob.in_(blobs))).scalars())


# ---------------------------------------------------------------- the port


class _Transactions(Protocol):
    """What is needed of the database: see `adapters/sql/database.py`."""

    async def write(self, work: Callable[[Connection], T]) -> T: ...

    async def read(self, query: Callable[[Connection], T]) -> T: ...


class SqlObjectNames:
    """`ports.object_names.ObjectNames` on the database: each method is one transaction."""

    def __init__(self, database: _Transactions, on_noted: Callable[[], None] = lambda: None) -> None:
        """`on_noted` is called once a change that sets something off is on disk."""
        self._database = database
        self._on_noted = on_noted

    async def reveal(
        self,
        name: ObjectName,
        sealed: Sealed,
        media_type: str,
        metadata: Mapping[str, str],
        condition: PutCondition | None,
        now_ms: int,
    ) -> ObjectInfo:
        """See `reveal_name`."""
        return await self._change(lambda conn: reveal_name(conn, name, sealed, media_type, metadata, condition, now_ms))

    async def copy(
        self,
        source: ObjectRef,
        target: ObjectName,
        media_type: str,
        metadata: Mapping[str, str],
        condition: PutCondition | None,
        now_ms: int,
    ) -> ObjectInfo:
        """See `copy_name`."""
        return await self._change(lambda conn: copy_name(conn, source, target, media_type, metadata, condition, now_ms))

    async def head(self, name: ObjectName) -> ObjectInfo:
        """See `head_name`."""
        return await self._read(partial(head_name, name=name))

    async def delete(self, name: ObjectName, now_ms: int) -> None:
        """See `delete_name`."""
        await self._change(partial(delete_name, name=name, now_ms=now_ms))

    async def create_bucket(self, bucket: str, now_ms: int) -> None:
        """See `create_bucket`."""
        await self._database.write(partial(create_bucket, bucket=bucket, now_ms=now_ms))

    async def delete_bucket(self, bucket: str) -> None:
        """See `delete_bucket`."""
        await self._database.write(partial(delete_bucket, bucket=bucket))

    async def buckets(self) -> list[Bucket]:
        """See `all_buckets`."""
        return await self._database.read(all_buckets)

    async def freed_blobs(self, limit: int) -> list[str]:
        """See `freed_blobs`."""
        return await self._database.read(partial(freed_blobs, limit=limit))

    async def forget_blobs(self, blobs: Sequence[str]) -> None:
        """See `forget_blobs`."""
        await self._database.write(partial(forget_blobs, blobs=blobs))

    async def named_in(self, copy: Path) -> list[str]:
        """See the port."""
        return [blob.id for blob in await asyncio.to_thread(blobs_in, copy)]

    async def named_blobs(self, blobs: Sequence[str]) -> set[str]:
        """See `named_blobs`."""
        return await self._database.read(partial(named_blobs, blobs=blobs))

    async def page(self, bucket: str, prefix: str, delimiter: str, after: str, limit: int) -> ListPage:
        """See `list_names`."""
        return await self._read(lambda conn: list_names(conn, bucket, prefix, delimiter, after, limit))

    async def _change(self, work: Callable[[Connection], T]) -> T:
        def counted(conn: Connection) -> tuple[T, int]:
            done = work(conn)
            return done, noted(conn)

        done, events = await self._database.write(counted)
        if events:
            self._on_noted()
        return done

    async def _read(self, query: Callable[[Connection], T]) -> T:
        """A refusal comes back as a value: a query that raises costs the database its connection."""

        def answered(conn: Connection) -> T | ObjectError:
            try:
                return query(conn)
            except ObjectError as refusal:
                return refusal

        answer = await self._database.read(answered)
        if isinstance(answer, ObjectError):
            raise answer
        return answer
