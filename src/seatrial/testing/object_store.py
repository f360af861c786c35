"""What every object store must do: examples, and a state machine that compares it with a dictionary.

Use: subclass `ObjectStoreExamples` in a pytest module with a `store` fixture, and `ObjectStoreMachine` with an
`open_store`, whose `TestCase` pytest then collects.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from seatrial.domain.limits import MIB, ROW_INLINE_BYTES_MAX
from seatrial.domain.objects import ObjectInfo, ObjectName, ObjectRef, PutCondition
from seatrial.ports.object_store import (
    BucketExists,
    BucketNotEmpty,
    ConditionFailed,
    NoSuchBucket,
    NoSuchObject,
    ObjectChanged,
    ObjectStore,
    TooLarge,
)

SMALL = b"small"
LARGE = bytes(range(256)) * (4 * ROW_INLINE_BYTES_MAX // 256) + b"end"
LIMIT_BYTES = 64 * MIB
PLAIN_KEYS = ("A", "é", "e\u0301", "%2F", "a b", "a+b", "𝄞", "?x=1#y", "x/~*'()/y", "%20")
HARD_KEYS = ("a", "a/b", "a/", "/", "//", "/etc/passwd", "../../etc/passwd", ".", "..", "\x01", "k" * 1024, "\r\n")
FREE_ONLY = PutCondition(if_none_match=True)


async def put(store: ObjectStore, name: ObjectName, body: bytes, condition: PutCondition | None = None) -> ObjectInfo:
    """Stage and reveal."""
    sealed = await store.stage(body, LIMIT_BYTES)
    return await store.reveal(sealed, name, "application/octet-stream", {}, condition)


async def get(store: ObjectStore, what: ObjectName | ObjectRef, start: int = 0, length: int | None = None) -> bytes:
    """All bytes of a reading."""
    reading = await store.read(what, start, length)
    body = b"".join([chunk async for chunk in reading.chunks])
    assert len(body) == reading.length
    return body


async def keys(store: ObjectStore, bucket: str, limit: int = 1000, **which: str) -> list[str]:
    """Every key and common prefix in order, gathered page by page."""
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await store.list(bucket, after=after, limit=limit, **which)
        entries = [info.name.key for info in page.objects] + list(page.prefixes)
        assert len(entries) <= limit
        found += sorted(entries, key=str.encode)
        after = page.next_after
    return found


class ObjectStoreExamples:
    """Examples, as a pytest class; the subclass's module has the fixture `store`, with no bucket in it.

    `others` are buckets that the store has anyway; `hard_keys` and `hard_delimiters` are legal ones that some real
    services cannot hold or list.
    """

    others: frozenset[str] = frozenset()
    hard_keys: tuple[str, ...] = HARD_KEYS
    hard_delimiters: tuple[str, ...] = ("/1",)

    @pytest.mark.parametrize("body", [b"", SMALL, b"x" * ROW_INLINE_BYTES_MAX, LARGE], ids=len)
    async def test_what_was_put_is_read(self, store: ObjectStore, body: bytes) -> None:
        await store.create_bucket("bucket-b")
        name = ObjectName("bucket-b", "k")
        sealed = await store.stage(body, LIMIT_BYTES)
        with pytest.raises(NoSuchObject):
            await store.head(name)
        kept = {"x-amz-meta-a": "1", "cache-control": "no-store", "x-amz-checksum-crc32": "AAAAAA==", "mark": "2"}
        told = await store.reveal(sealed, name, "text/plain", kept)
        assert await store.head(name) == told
        assert (told.sealed.size_bytes, told.media_type) == (len(body), "text/plain")
        assert told.sealed.sha256 == hashlib.sha256(body).hexdigest()
        assert told.metadata == kept
        assert await get(store, name) == body
        assert await get(store, told.ref) == body

    @pytest.mark.parametrize("body", [SMALL, LARGE], ids=len)
    async def test_a_range_is_cut_at_the_end(self, store: ObjectStore, body: bytes) -> None:
        await store.create_bucket("bucket-b")
        name = (await put(store, ObjectName("bucket-b", "k"), body)).name
        assert await get(store, name, 1, 3) == body[1:4]
        assert await get(store, name, 2) == body[2:]
        assert await get(store, name, len(body) - 1, 100) == body[-1:]
        assert await get(store, name, len(body) + 5, 1) == b""

    @pytest.mark.parametrize("body", [SMALL, LARGE], ids=len)
    async def test_bytes_stay_readable_while_the_name_is_freed(self, store: ObjectStore, body: bytes) -> None:
        await store.create_bucket("bucket-b")
        name = (await put(store, ObjectName("bucket-b", "k"), body)).name
        reading = await store.read(name)
        await store.delete(name)
        assert b"".join([chunk async for chunk in reading.chunks]) == body

    @pytest.mark.parametrize("body", [SMALL, LARGE], ids=len)
    async def test_a_reference_is_pinned_to_its_bytes(self, store: ObjectStore, body: bytes) -> None:
        await store.create_bucket("bucket-b")
        first = await put(store, ObjectName("bucket-b", "k"), body)
        await put(store, first.name, body + b"!")
        with pytest.raises(ObjectChanged):
            await store.read(first.ref)
        with pytest.raises(ObjectChanged):
            await store.local_path(first.ref)
        await store.delete(first.name)
        with pytest.raises(NoSuchObject):
            await store.read(first.ref)

    async def test_a_local_path_holds_the_bytes(self, store: ObjectStore) -> None:
        await store.create_bucket("bucket-b")
        info = await put(store, ObjectName("bucket-b", "k"), LARGE)
        path = await store.local_path(info.ref)
        assert path is None or path.read_bytes() == LARGE

    async def test_too_long_a_stream_is_refused(self, store: ObjectStore) -> None:
        async def stream() -> AsyncIterator[bytes]:
            yield b"x" * MIB
            yield b"x"

        with pytest.raises(TooLarge):
            await store.stage(stream(), MIB)
        with pytest.raises(TooLarge):
            await store.stage(b"xx", 1)
        assert (await store.stage(stream(), MIB + 1)).size_bytes == MIB + 1

    async def test_a_path_is_copied(self, store: ObjectStore, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(LARGE)
        with source.open("r+b") as still_open:
            sealed = await store.stage(source, LIMIT_BYTES)
            still_open.write(b"changed later")
        await store.create_bucket("bucket-b")
        info = await store.reveal(sealed, ObjectName("bucket-b", "k"), "a/b", {})
        assert source.exists()
        assert await get(store, info.ref) == LARGE

    async def test_a_stream_that_breaks_keeps_nothing_visible(self, store: ObjectStore) -> None:
        async def stream() -> AsyncIterator[bytes]:
            yield LARGE
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await store.stage(stream(), LIMIT_BYTES)

    async def test_conditions_decide_who_takes_a_name(self, store: ObjectStore) -> None:
        await store.create_bucket("bucket-b")
        name = ObjectName("bucket-b", "k")
        first = await put(store, name, b"1", FREE_ONLY)
        with pytest.raises(ConditionFailed):
            await put(store, name, b"2", FREE_ONLY)
        with pytest.raises(ConditionFailed):
            await put(store, name, b"2", PutCondition(if_match="other"))
        with pytest.raises(ConditionFailed):
            await put(store, ObjectName("bucket-b", "free"), b"2", PutCondition(if_match=first.sealed.etag))
        await put(store, name, b"3", PutCondition(if_match=first.sealed.etag))
        assert await get(store, name) == b"3"

    async def test_one_of_many_racers_takes_a_free_name(self, store: ObjectStore) -> None:
        await store.create_bucket("bucket-b")
        name = ObjectName("bucket-b", "k")
        bodies = [LARGE + bytes([n]) for n in range(8)]
        ends = await asyncio.gather(*(put(store, name, body, FREE_ONLY) for body in bodies), return_exceptions=True)
        winners = [n for n, end in enumerate(ends) if isinstance(end, ObjectInfo)]
        assert len(winners) == 1
        assert sum(isinstance(end, ConditionFailed) for end in ends) == 7
        assert await get(store, name) == bodies[winners[0]]

    async def test_revealing_again_is_no_conflict(self, store: ObjectStore) -> None:
        await store.create_bucket("bucket-b")
        sealed = await store.stage(LARGE, LIMIT_BYTES)
        for _ in range(2):
            await store.reveal(sealed, ObjectName("bucket-b", "k"), "a/b", {}, FREE_ONLY)
        assert await get(store, ObjectName("bucket-b", "k")) == LARGE

    async def test_staged_bytes_can_be_discarded(self, store: ObjectStore) -> None:
        await store.create_bucket("bucket-b")
        kept = await put(store, ObjectName("bucket-b", "kept"), LARGE)
        sealed = await store.stage(LARGE, LIMIT_BYTES)
        await store.discard([sealed, sealed, kept.sealed])
        assert await get(store, kept.ref) == LARGE

    @pytest.mark.parametrize("body", [SMALL, LARGE], ids=len)
    async def test_a_copy_outlives_its_source(self, store: ObjectStore, body: bytes) -> None:
        await store.create_bucket("bucket-b")
        await store.create_bucket("bucket-c")
        source = await put(store, ObjectName("bucket-b", "k"), body)
        target = ObjectName("bucket-c", "k2")
        copied = await store.copy(source.ref, target, "text/plain", {"x-amz-meta-a": "1"})
        assert copied == await store.head(target)
        assert copied.sealed.etag == source.sealed.etag
        await store.delete(source.name)
        assert await get(store, target) == body
        with pytest.raises(NoSuchObject):
            await store.copy(source.ref, target, "a/b", {})
        with pytest.raises(ConditionFailed):
            await store.copy(copied.ref, target, "a/b", {}, FREE_ONLY)
        with pytest.raises(NoSuchBucket):
            await store.copy(copied.ref, ObjectName("none", "k"), "a/b", {})
        with pytest.raises(ObjectChanged):
            await store.copy(ObjectRef(target, "other"), source.name, "a/b", {})

    async def test_a_name_copied_onto_itself_keeps_its_bytes(self, store: ObjectStore) -> None:
        await store.create_bucket("bucket-b")
        info = await put(store, ObjectName("bucket-b", "k"), LARGE)
        await store.copy(info.ref, info.name, "text/plain", {})
        assert await get(store, info.name) == LARGE
        assert (await store.head(info.name)).media_type == "text/plain"

    async def test_every_legal_key_is_a_key_of_its_own(self, store: ObjectStore) -> None:
        await store.create_bucket("bucket-b")
        names = [*PLAIN_KEYS, *self.hard_keys]
        for n, key in enumerate(names):
            await put(store, ObjectName("bucket-b", key), str(n).encode())
        assert await keys(store, "bucket-b") == sorted(names, key=str.encode)
        for n, key in enumerate(names):
            assert await get(store, ObjectName("bucket-b", key)) == str(n).encode()

    async def test_deleting_twice_is_no_error(self, store: ObjectStore) -> None:
        await store.create_bucket("bucket-b")
        info = await put(store, ObjectName("bucket-b", "k"), LARGE)
        await store.delete(info.name)
        await store.delete(info.name)
        with pytest.raises(NoSuchObject):
            await store.head(info.name)

    async def test_buckets(self, store: ObjectStore) -> None:
        async def names() -> list[str]:
            return [bucket.name for bucket in await store.buckets() if bucket.name not in self.others]

        for bucket in ["bucket-b", "bucket-a"]:
            await store.create_bucket(bucket)
        with pytest.raises(BucketExists):
            await store.create_bucket("bucket-a")
        assert await names() == ["bucket-a", "bucket-b"]
        await put(store, ObjectName("bucket-a", "k"), SMALL)
        with pytest.raises(BucketNotEmpty):
            await store.delete_bucket("bucket-a")
        await store.delete(ObjectName("bucket-a", "k"))
        await store.delete_bucket("bucket-a")
        assert await names() == ["bucket-b"]

    async def test_a_missing_bucket_is_said_everywhere(self, store: ObjectStore) -> None:
        name = ObjectName("none", "k")
        sealed = await store.stage(SMALL, LIMIT_BYTES)
        calls: list[Callable[[], Any]] = [
            lambda: store.reveal(sealed, name, "a/b", {}),
            lambda: store.head(name),
            lambda: store.read(name),
            lambda: store.read(ObjectRef(name, "e")),
            lambda: store.local_path(ObjectRef(name, "e")),
            lambda: store.copy(ObjectRef(name, "e"), name, "a/b", {}),
            lambda: store.delete(name),
            lambda: store.list("none"),
            lambda: store.delete_bucket("none"),
        ]
        for call in calls:
            with pytest.raises(NoSuchBucket):
                await call()

    @pytest.mark.parametrize("limit", [1, 2, 3, 1000])
    async def test_listing(self, store: ObjectStore, limit: int) -> None:
        await store.create_bucket("bucket-b")
        await store.create_bucket("bucket-bb")
        await put(store, ObjectName("bucket-bb", "elsewhere"), SMALL)
        names = ["a/1", "a/2", "a/b/3", "a0", "b/1", "c/", "é"] + (["a", "c"] if "a" in self.hard_keys else [])
        held = dict.fromkeys(names, SMALL)
        for key in names:
            await put(store, ObjectName("bucket-b", key), SMALL)
        asked = [("", ""), ("", "/"), ("a/", "/"), ("a", ""), ("c/", "/"), ("z", "")]
        for prefix, delimiter in [*asked, *(("", one) for one in self.hard_delimiters)]:
            found = await keys(store, "bucket-b", limit, prefix=prefix, delimiter=delimiter)
            assert found == _listed(held, prefix, delimiter), (prefix, delimiter, found)

    async def test_a_listing_starts_after_what_it_is_told(self, store: ObjectStore) -> None:
        await store.create_bucket("bucket-b")
        for key in ["a", "a/1", "a/2", "b"]:
            await put(store, ObjectName("bucket-b", key), SMALL)
        page = await store.list("bucket-b", delimiter="/", after="a/1")
        assert page.prefixes == ("a/",)  # a key within a prefix: the rest of that prefix still counts
        page = await store.list("bucket-b", delimiter="/", after="a/")
        assert (page.prefixes, [info.name.key for info in page.objects]) == ((), ["b"])
        page = await store.list("bucket-b", limit=0)
        assert (page.objects, page.prefixes, page.next_after) == ((), (), None)

    async def test_a_common_prefix_of_many_keys_is_told_once(self, store: ObjectStore) -> None:
        await store.create_bucket("bucket-b")
        for folder in ["x", "y"]:
            for n in range(60):
                await put(store, ObjectName("bucket-b", f"{folder}/{n}"), SMALL)
        await put(store, ObjectName("bucket-b", "z"), SMALL)
        assert await keys(store, "bucket-b", 2, delimiter="/") == ["x/", "y/", "z"]


# ---------------------------------------------------------------- against a dictionary

_KEYS = st.lists(st.sampled_from(["a", "b", "/", "é", "0"]), min_size=1, max_size=4).map("".join)
_BODIES = st.sampled_from([b"", SMALL, b"other", LARGE, LARGE + b"!"])
_BUCKETS = st.sampled_from(["one", "two"])
_NAMES = st.builds(ObjectName, _BUCKETS, _KEYS)


class ObjectStoreMachine(RuleBasedStateMachine):
    """Over a fresh store per run; the model is `{bucket: {key: bytes}}`. A subclass says `open_store`."""

    open_store: Callable[[], AbstractAsyncContextManager[ObjectStore]]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.opened = self.open_store()
        self.store = self.runner.run(self.opened.__aenter__())
        self.model: dict[str, dict[str, bytes]] = {}

    def teardown(self) -> None:
        self.runner.run(self.opened.__aexit__(None, None, None))
        self.runner.close()

    @initialize()
    def first_bucket(self) -> None:
        self.create("one")

    @rule(bucket=_BUCKETS)
    def create(self, bucket: str) -> None:
        error = BucketExists if bucket in self.model else None
        self.expect(error, lambda: self.store.create_bucket(bucket))
        self.model.setdefault(bucket, {})

    @rule(bucket=_BUCKETS)
    def remove_bucket(self, bucket: str) -> None:
        error = NoSuchBucket if bucket not in self.model else BucketNotEmpty if self.model[bucket] else None
        self.expect(error, lambda: self.store.delete_bucket(bucket))
        if error is None:
            del self.model[bucket]

    @rule(name=_NAMES, body=_BODIES, free_only=st.booleans())
    def put(self, name: ObjectName, body: bytes, free_only: bool) -> None:
        taken = name.key in self.model.get(name.bucket, {})
        missing = name.bucket not in self.model
        error = NoSuchBucket if missing else ConditionFailed if free_only and taken else None
        self.expect(error, lambda: put(self.store, name, body, FREE_ONLY if free_only else None))
        if error is None:
            self.model[name.bucket][name.key] = body

    @rule(name=_NAMES, copy=_NAMES)
    def copy_name(self, name: ObjectName, copy: ObjectName) -> None:
        body = self.model.get(name.bucket, {}).get(name.key)
        if body is None or copy.bucket not in self.model:
            return
        info = self.runner.run(self.store.head(name))
        self.runner.run(self.store.copy(info.ref, copy, "a/b", {}))
        self.model[copy.bucket][copy.key] = body

    @rule(name=_NAMES)
    def delete(self, name: ObjectName) -> None:
        error = NoSuchBucket if name.bucket not in self.model else None
        self.expect(error, lambda: self.store.delete(name))
        self.model.get(name.bucket, {}).pop(name.key, None)

    @rule(name=_NAMES, start=st.integers(0, 10), length=st.none() | st.integers(0, 20))
    def read(self, name: ObjectName, start: int, length: int | None) -> None:
        if name.bucket not in self.model:
            self.expect(NoSuchBucket, lambda: self.store.read(name))
        elif name.key not in self.model[name.bucket]:
            self.expect(NoSuchObject, lambda: self.store.read(name))
        else:
            body = self.model[name.bucket][name.key]
            end = None if length is None else start + length
            assert self.runner.run(get(self.store, name, start, length)) == body[start:end]

    @rule(
        bucket=_BUCKETS,
        prefix=st.just("") | _KEYS,
        delimiter=st.sampled_from(["", "/", "a"]),
        limit=st.integers(1, 4),
    )
    def list(self, bucket: str, prefix: str, delimiter: str, limit: int) -> None:
        if bucket not in self.model:
            self.expect(NoSuchBucket, lambda: self.store.list(bucket))
            return
        found = self.runner.run(keys(self.store, bucket, limit, prefix=prefix, delimiter=delimiter))
        assert found == _listed(self.model[bucket], prefix, delimiter)

    @invariant()
    def every_name_holds_its_bytes(self) -> None:
        found = [bucket.name for bucket in self.runner.run(self.store.buckets())]
        assert found == sorted(self.model)
        for bucket, held in self.model.items():
            for key, body in held.items():
                assert self.runner.run(get(self.store, ObjectName(bucket, key))) == body

    def expect(self, error: type[Exception] | None, call: Callable[[], Any]) -> None:
        if error is None:
            self.runner.run(call())
            return
        with pytest.raises(error):
            self.runner.run(call())


def _listed(held: dict[str, bytes], prefix: str, delimiter: str) -> list[str]:
    found = set()
    for key in held:
        if key.startswith(prefix):
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            found.add(key if at < 0 else key[: at + len(delimiter)])
    return sorted(found, key=str.encode)
