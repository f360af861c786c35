"""Multipart uploads on the embedded store: durable, bounded in number and age, joined when asked for twice."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from seatrial.adapters.objects.blobs import BlobFiles
from seatrial.adapters.objects.embedded import EmbeddedObjects
from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.object_names import SqlObjectNames
from seatrial.domain.errors import BadInput, Busy, NotFound
from seatrial.domain.limits import MIB, MULTIPART_COMPLETED_SECONDS, MULTIPART_UPLOAD_SECONDS_MAX
from seatrial.domain.objects import ObjectInfo, ObjectName
from seatrial.domain.uploads import ClaimedPart, Completion, Part, Upload
from seatrial.engine.multipart import UPLOADS_BUCKET, MultipartUploads
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject
from seatrial.testing.object_store import get, keys

K = ObjectName("b", "k")
PART = bytes(range(256)) * (5 * MIB // 256)


@dataclass
class SetClock:
    """Stands where the test puts it."""

    at_ms: int = 1_000_000

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_ms(self) -> int:
        return self.at_ms

    async def sleep_ms(self, duration_ms: int) -> None:
        self.at_ms += duration_ms


@dataclass
class Opened:
    objects: EmbeddedObjects
    uploads: MultipartUploads
    clock: SetClock

    async def add(self, upload: Upload, number: int, body: bytes) -> Part:
        return await self.uploads.add(upload, number, await self.objects.stage(body, 10 * MIB))

    async def hidden(self) -> list[str]:
        return await keys(self.objects, UPLOADS_BUCKET)


@asynccontextmanager
async def open_uploads(folder: Path) -> AsyncIterator[Opened]:
    database = await Database.open(folder / "seatrial.db")
    blobs = BlobFiles(folder / "blobs")
    clock = SetClock()
    objects = EmbeddedObjects(SqlObjectNames(database), blobs, clock)
    try:
        yield Opened(objects, MultipartUploads(objects, clock), clock)
    finally:
        await database.close()
        blobs.close()


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with open_uploads(tmp_path) as found:
        await found.objects.create_bucket("b")
        yield found


def claim(*parts: Part) -> Completion:
    return Completion(tuple(ClaimedPart(part.number, part.etag) for part in parts))


async def test_parts_outlive_the_server(tmp_path: Path) -> None:
    async with open_uploads(tmp_path) as first:
        await first.objects.create_bucket("b")
        upload = await first.uploads.begin(K, "a/b", {"x-amz-meta-a": "1"})
        parts = [await first.add(upload, 1, PART), await first.add(upload, 2, b"tail")]
    async with open_uploads(tmp_path) as second:
        await second.objects.sweep()
        assert await second.uploads.find(K, upload.id) == upload
        info = await second.uploads.complete(K, upload.id, claim(*parts))
        assert await get(second.objects, K) == PART + b"tail"
        digests = hashlib.md5(PART).digest() + hashlib.md5(b"tail").digest()
        assert info.sealed.etag == f"{hashlib.md5(digests).hexdigest()}-2"
        assert (info.media_type, info.metadata) == ("a/b", {"x-amz-meta-a": "1"})
        assert await second.hidden() == [f"done/{upload.id}"]


async def test_completions_asked_for_at_the_same_time_are_one(opened: Opened) -> None:
    upload = await opened.uploads.begin(K, "a/b", {})
    parts = [await opened.add(upload, 1, PART), await opened.add(upload, 2, b"tail")]
    first, second = await asyncio.gather(*(opened.uploads.complete(K, upload.id, claim(*parts)) for _ in range(2)))
    assert isinstance(first, ObjectInfo)
    assert first == second == await opened.uploads.complete(K, upload.id, claim(*parts))


async def test_a_completion_goes_on_without_its_caller(opened: Opened) -> None:
    upload = await opened.uploads.begin(K, "a/b", {})
    part = await opened.add(upload, 1, PART)
    waiting = asyncio.create_task(opened.uploads.complete(K, upload.id, claim(part)))
    await asyncio.sleep(0)  # it has begun, and waits
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    (going_on,) = opened.uploads._completing.values()
    await going_on
    assert await get(opened.objects, K) == PART


async def test_a_memory_of_another_object_is_no_answer(opened: Opened) -> None:
    upload = await opened.uploads.begin(K, "a/b", {})
    part = await opened.add(upload, 1, PART)
    await opened.uploads.complete(K, upload.id, claim(part))
    await opened.objects.reveal(await opened.objects.stage(b"newer", MIB), K, "a/b", {})
    with pytest.raises(NotFound, match="no open upload"):
        await opened.uploads.complete(K, upload.id, claim(part))
    assert await get(opened.objects, K) == b"newer"


async def test_a_part_that_changed_is_not_taken(opened: Opened) -> None:
    upload = await opened.uploads.begin(K, "a/b", {})
    part = await opened.add(upload, 1, PART)
    await opened.add(upload, 1, b"another")
    with pytest.raises(BadInput, match="part 1"):
        await opened.uploads.complete(K, upload.id, claim(part))
    with pytest.raises(NoSuchObject):
        await opened.objects.head(K)


async def test_an_upload_belongs_to_its_name(opened: Opened) -> None:
    upload = await opened.uploads.begin(K, "a/b", {})
    for name, upload_id in [(ObjectName("b", "other"), upload.id), (K, "0" * 32), (K, "../open"), (K, "")]:
        with pytest.raises(NotFound):
            await opened.uploads.find(name, upload_id)
    with pytest.raises(NoSuchBucket):
        await opened.uploads.begin(ObjectName("none", "k"), "a/b", {})
    with pytest.raises(NoSuchBucket):
        await opened.uploads.uploads("none")


async def test_what_is_too_old_goes(opened: Opened) -> None:
    old = await opened.uploads.begin(K, "a/b", {})
    part = await opened.add(old, 1, PART)
    done = await opened.uploads.begin(ObjectName("b", "done"), "a/b", {})
    await opened.uploads.complete(done.name, done.id, claim(await opened.add(done, 1, b"x")))
    opened.clock.at_ms += MULTIPART_COMPLETED_SECONDS * 1000 + 1
    assert await opened.uploads.expire() == 0
    assert await opened.hidden() == [f"open/{old.id}", f"parts/{old.id}/00001"]
    opened.clock.at_ms += MULTIPART_UPLOAD_SECONDS_MAX * 1000
    young = await opened.uploads.begin(K, "a/b", {})
    assert await opened.uploads.expire() == 1
    assert await opened.hidden() == [f"open/{young.id}"]
    with pytest.raises(NotFound):
        await opened.uploads.complete(K, old.id, claim(part))


async def test_a_part_that_came_after_the_abort_goes(opened: Opened) -> None:
    upload = await opened.uploads.begin(K, "a/b", {})
    await opened.uploads.abort(K, upload.id)
    await opened.add(upload, 1, b"late")
    await opened.uploads.expire()
    assert await opened.hidden() == []


async def test_uploads_are_bounded(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seatrial.engine.multipart.MULTIPART_UPLOADS_OPEN_MAX", 2)
    for _ in range(2):
        await opened.uploads.begin(K, "a/b", {})
    with pytest.raises(Busy, match="2 multipart uploads are open"):
        await opened.uploads.begin(K, "a/b", {})
    opened.clock.at_ms += MULTIPART_UPLOAD_SECONDS_MAX * 1000 + 1
    await opened.uploads.begin(K, "a/b", {})
    assert len(await opened.uploads.uploads("b")) == 1
