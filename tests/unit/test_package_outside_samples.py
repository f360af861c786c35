from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from seatrial.adapters.objects.blobs import BlobFiles
from seatrial.adapters.objects.embedded import EmbeddedObjects
from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.object_names import SqlObjectNames
from seatrial.adapters.system.clock import SystemClock
from seatrial.domain.contract import Contract, Task
from seatrial.domain.errors import Unproven
from seatrial.domain.objects import ObjectName
from seatrial.engine.trial import samples
from seatrial.engine.trial.samples import OutsideSamples
from seatrial.package.manifest import Manifest

MANIFEST = Manifest("python", Contract((Task("rooms"), Task("walls"))))


@pytest.fixture
async def objects(tmp_path: Path) -> AsyncIterator[EmbeddedObjects]:
    database = await Database.open(tmp_path / "seatrial.db")
    blobs = BlobFiles(tmp_path / "blobs")
    store = EmbeddedObjects(SqlObjectNames(database), blobs, SystemClock())
    await store.create_bucket("b")
    yield store
    await database.close()
    blobs.close()


async def put(objects: EmbeddedObjects, key: str, body: bytes = b"{}") -> None:
    await objects.reveal(await objects.stage(body, len(body)), ObjectName("b", key), "application/json", {})


async def refused(objects: EmbeddedObjects, uri: str) -> Unproven:
    outside = OutsideSamples(objects)
    try:
        with pytest.raises(Unproven) as caught:
            await outside.added(MANIFEST, uri)
    finally:
        outside.close()
    assert caught.value.error_type == "inspect"
    assert "amples" in caught.value.details["remedy"]
    assert "seatrial-samples-" not in caught.value.message
    return caught.value


async def test_samples_are_added_whatever_marks_the_folder(objects: EmbeddedObjects) -> None:
    await put(objects, "s/", b"")
    await put(objects, "s/rooms/house.json")
    outside = OutsideSamples(objects)
    added = await outside.added(MANIFEST, "s3://b/s")
    assert [[one.name for one in task.samples] for task in added.contract.tasks] == [["house"], []]
    outside.close()


async def test_where_nothing_is_the_inspection_says_so(objects: EmbeddedObjects) -> None:
    assert "There are no samples under s3://b/empty/" in (await refused(objects, "s3://b/empty/")).message
    assert "There is no bucket 'other'" in (await refused(objects, "s3://other/s")).message
    await put(objects, "marked/", b"")
    assert "There are no samples under s3://b/marked" in (await refused(objects, "s3://b/marked")).message
    await put(objects, "text/readme.txt")
    assert "hold no sample" in (await refused(objects, "s3://b/text")).message


async def test_a_folder_that_is_no_task_is_named_with_the_tasks(objects: EmbeddedObjects) -> None:
    await put(objects, "s/t1/house.json")
    error = await refused(objects, "s3://b/s/")
    assert error.message == "t1/: is a folder that no task is named like (valid: rooms, walls)"


async def test_every_page_is_read_up_to_a_limit(objects: EmbeddedObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        await put(objects, f"s/rooms/{number}.json")
    monkeypatch.setattr(samples, "LIST_KEYS_MAX", 2)
    outside = OutsideSamples(objects)
    added = await outside.added(MANIFEST, "s3://b/s")
    assert [one.name for one in added.contract.tasks[0].samples] == ["0", "1", "2", "3", "4"]
    outside.close()
    monkeypatch.setattr(samples, "OUTSIDE_SAMPLES_MAX", 4)
    assert "more than 4 objects under s3://b/s" in (await refused(objects, "s3://b/s")).message
    monkeypatch.setattr(samples, "OUTSIDE_SAMPLES_MAX", 5)
    monkeypatch.setattr(samples, "OUTSIDE_SAMPLES_BYTES_MAX", 9)
    assert "have 10 bytes together; at most 9 are read" in (await refused(objects, "s3://b/s")).message
