"""The embedded object store: the conformance suite, and what is its own (blobs, their removal, the sweep)."""

import asyncio
import os
import stat
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import Connection, insert

from seatrial.adapters.objects.blobs import BlobFiles
from seatrial.adapters.objects.embedded import EmbeddedObjects
from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.object_names import SqlObjectNames, create_bucket, list_names, objects
from seatrial.domain.limits import MIB
from seatrial.domain.objects import ObjectName, PutCondition
from seatrial.testing.object_store import (
    LARGE,
    LIMIT_BYTES,
    SMALL,
    ObjectStoreExamples,
    ObjectStoreMachine,
    get,
    put,
)

K = ObjectName("b", "k")


class WallClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1000)


@asynccontextmanager
async def open_embedded(folder: Path) -> AsyncIterator[EmbeddedObjects]:
    database = await Database.open(folder / "seatrial.db")
    blobs = BlobFiles(folder / "blobs")
    try:
        yield EmbeddedObjects(SqlObjectNames(database), blobs, WallClock())
    finally:
        await database.close()
        blobs.close()


@asynccontextmanager
async def open_fresh() -> AsyncIterator[EmbeddedObjects]:
    with tempfile.TemporaryDirectory() as folder:
        async with open_embedded(Path(folder)) as store:
            yield store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedObjects]:
    async with open_embedded(tmp_path) as opened:
        yield opened


def blob_files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "blobs").rglob("*") if path.is_file())


class TestEmbedded(ObjectStoreExamples):
    """Names are rows of SQLite, or of PostgreSQL; blobs are files of this machine either way."""

    @pytest.fixture
    async def store(self, database: Database, tmp_path: Path) -> AsyncIterator[EmbeddedObjects]:
        blobs = BlobFiles(tmp_path / "blobs")
        yield EmbeddedObjects(SqlObjectNames(database), blobs, WallClock())
        blobs.close()


class EmbeddedMachine(ObjectStoreMachine):
    open_store = staticmethod(open_fresh)


TestEmbeddedMachine = EmbeddedMachine.TestCase
TestEmbeddedMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


async def test_small_bytes_need_no_file(store: EmbeddedObjects, tmp_path: Path) -> None:
    await store.create_bucket("b")
    info = await put(store, K, SMALL)
    assert await store.local_path(info.ref) is None
    assert blob_files(tmp_path) == []


async def test_blobs_are_private(store: EmbeddedObjects, tmp_path: Path) -> None:
    await store.create_bucket("b")
    await put(store, K, LARGE)
    (file,) = blob_files(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {stat.S_IMODE(parent.stat().st_mode) for parent in [file.parent, file.parent.parent]} == {0o700}


async def test_a_blob_goes_with_its_last_name(store: EmbeddedObjects, tmp_path: Path) -> None:
    await store.create_bucket("b")
    info = await put(store, K, LARGE)
    other = await store.copy(info.ref, ObjectName("b", "other"), "a/b", {})
    assert len(blob_files(tmp_path)) == 1
    await store.delete(info.name)
    assert len(blob_files(tmp_path)) == 1
    await put(store, other.name, SMALL)
    assert blob_files(tmp_path) == []


async def test_nothing_is_kept_of_a_stream_that_fails(store: EmbeddedObjects, tmp_path: Path) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"x" * (3 * MIB)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.stage(breaks(), LIMIT_BYTES)
    begun = asyncio.Event()

    async def hangs() -> AsyncIterator[bytes]:
        yield b"x" * (3 * MIB)
        begun.set()
        await asyncio.Event().wait()

    staging = asyncio.create_task(store.stage(hangs(), LIMIT_BYTES))
    await begun.wait()
    assert len(blob_files(tmp_path)) == 1
    staging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await staging
    assert blob_files(tmp_path) == []


async def test_losing_a_condition_leaves_no_file_after_the_discard(store: EmbeddedObjects, tmp_path: Path) -> None:
    await store.create_bucket("b")
    await put(store, K, SMALL)
    sealed = await store.stage(LARGE, LIMIT_BYTES)
    with pytest.raises(Exception, match="exists"):
        await store.reveal(sealed, K, "a/b", {}, PutCondition(if_none_match=True))
    await store.discard([sealed])
    assert blob_files(tmp_path) == []


async def test_a_sweep_removes_only_what_earlier_runs_never_named(tmp_path: Path) -> None:
    async with open_embedded(tmp_path) as store:
        await store.create_bucket("b")
        await put(store, K, LARGE)
        await store.stage(LARGE, LIMIT_BYTES)
        assert await store.sweep() == 0
        assert len(blob_files(tmp_path)) == 2
    async with open_embedded(tmp_path) as store:
        mine = await store.stage(LARGE, LIMIT_BYTES)
        assert await store.sweep() == 1
        assert await get(store, K) == LARGE
        await store.reveal(mine, ObjectName("b", "mine"), "a/b", {})
        assert await get(store, ObjectName("b", "mine")) == LARGE


async def test_a_crash_between_freeing_and_removing_is_made_good(tmp_path: Path) -> None:
    async with open_embedded(tmp_path) as store:
        await store.create_bucket("b")
        await put(store, K, LARGE)
        await store._names.delete(K, 1)  # the transaction without the removal that follows it
        assert len(blob_files(tmp_path)) == 1
    async with open_embedded(tmp_path) as store:
        await store.sweep()
        assert blob_files(tmp_path) == []


async def test_no_key_reaches_a_file_name(store: EmbeddedObjects, tmp_path: Path) -> None:
    await store.create_bucket("b")
    for key in ["../../escape", "/etc/escape", "..", "xx/escape"]:
        await put(store, ObjectName("b", key), LARGE)
    outside = list(tmp_path.parent.rglob("*escape*"))
    assert outside == []
    assert all(len(path.name) == 32 for path in blob_files(tmp_path))


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
async def test_only_a_regular_file_is_copied(store: EmbeddedObjects, tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    if kind == "link":
        source.symlink_to("/etc/hostname")
    elif kind == "pipe":
        os.mkfifo(source)
    else:
        source.mkdir()
    with pytest.raises(OSError, match="source"):
        await store.stage(source, LIMIT_BYTES)


async def test_a_listing_seeks_past_a_common_prefix(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "seatrial.db")
    folders, keys_in_each = 3, 2_000
    told = {"size_bytes": 0, "etag": "e", "sha256": "s", "media_type": "a/b", "metadata": {}, "modified_at_ms": 0}

    def fill(conn: Connection) -> None:
        create_bucket(conn, "b", 0)
        held = [f"{folder}/{n}".encode() for folder in range(folders) for n in range(keys_in_each)]
        conn.execute(insert(objects), [{"bucket": "b", "key": key, "inline": b"", **told} for key in held])

    def look(conn: Connection) -> tuple[tuple[str, ...], int]:
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        driver = conn.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(count, 1)  # called at each instruction of SQLite's virtual machine
        page = list_names(conn, "b", delimiter="/")
        driver.set_progress_handler(None, 1)
        return page.prefixes, steps

    await database.write(fill)
    prefixes, steps = await database.read(look)
    await database.close()
    assert prefixes == ("0/", "1/", "2/")
    assert steps < folders * keys_in_each  # fewer instructions than there are keys
