"""Answers become staged parts. The object store is the real one."""

import base64
import hashlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from seatrial.adapters.objects.blobs import BlobFiles
from seatrial.adapters.objects.embedded import EmbeddedObjects
from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.object_names import SqlObjectNames
from seatrial.adapters.system.clock import SystemClock
from seatrial.domain.commands import StagedPart
from seatrial.domain.contract import Contract, Output, OutputPart, Task
from seatrial.domain.errors import SeatrialError
from seatrial.domain.jobs import Job, JobInput, JobPurpose, JobState, OutputPlan
from seatrial.domain.limits import JSON_OUTPUT_BYTES_MAX, ROW_INLINE_BYTES_MAX
from seatrial.domain.media_types import BEGINNING_BYTES, EXTENSIONS, begins_as, type_by_beginning
from seatrial.domain.objects import ObjectName
from seatrial.domain.work import Produced
from seatrial.engine.outputs import OutputSealer, part_name

JSON = "application/json"
REFERENCE = {
    "type": "object",
    "required": ["uri", "media_type", "bytes", "sha256"],
    "properties": {"uri": {"type": "string", "pattern": "^s3://"}, "bytes": {"type": "integer"}},
}
SCHEMA = {
    "type": "object",
    "required": ["rooms"],
    "properties": {"rooms": {"type": "integer"}, "overlay": REFERENCE},
}
OVERLAY = OutputPart("overlay", "image/png")
ROOMS = Task("find_rooms", aliases=("rooms",), output=Output(JSON, SCHEMA, (OVERLAY,)))
LOOSE = Task("loose")
PICTURE = Task("draw", output=Output("image/png"))
CONTRACT = Contract((ROOMS, LOOSE, PICTURE))
UNDECLARED = Contract(declared=False)


def png(side: int = 10) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((side, side), 90).save(file, "PNG")
    return file.getvalue()


def job(task: str | None = None, key: str = "out/1.out") -> Job:
    return Job(
        id="1",
        owner="o",
        endpoint_id="e",
        endpoint_name="plans",
        version_id="v",
        purpose=JobPurpose.CLIENT,
        door="v1",
        task=task,
        state=JobState.RUNNING,
        priority=5,
        attempt=1,
        deaths=0,
        input=JobInput(JSON, inline=b"{}"),
        output=OutputPlan(ObjectName("b", key), ObjectName("b", "1-error.out")),
        accept="*/*",
        attributes={},
        submitted_at_ms=0,
        queue_deadline_ms=1,
        invocation_timeout_ms=2,
        decide_by_ms=3,
    )


@pytest.fixture
async def objects(tmp_path: Path) -> AsyncIterator[EmbeddedObjects]:
    database = await Database.open(tmp_path / "seatrial.db")
    blobs = BlobFiles(tmp_path / "blobs")
    store = EmbeddedObjects(SqlObjectNames(database), blobs, SystemClock())
    await store.create_bucket("b")
    yield store
    await database.close()
    blobs.close()


def blob_files(folder: Path) -> list[Path]:
    return [path for path in (folder / "blobs").rglob("*") if path.is_file()]


async def content_of(objects: EmbeddedObjects, part: StagedPart) -> bytes:
    info = await objects.reveal(part.sealed, part.object, part.media_type, {})
    reading = await objects.read(info.ref)
    return b"".join([chunk async for chunk in reading.chunks])


async def refused(objects: EmbeddedObjects, task: str | None, produced: Produced) -> SeatrialError:
    with pytest.raises(SeatrialError) as caught:
        await OutputSealer(objects).seal(job(task), CONTRACT, produced)
    return caught.value


@pytest.mark.parametrize("body", [b"\x00 anything", b'{"a": NaN}'])
async def test_an_undeclared_answer_is_one_part_as_it_is(objects: EmbeddedObjects, body: bytes) -> None:
    (part,) = await OutputSealer(objects).seal(job(), UNDECLARED, Produced(body, JSON))
    assert (part.name, part.object, part.media_type) == ("result", ObjectName("b", "out/1.out"), JSON)
    assert await content_of(objects, part) == body


async def test_a_file_is_copied(objects: EmbeddedObjects, tmp_path: Path) -> None:
    file = tmp_path / "answer.bin"
    file.write_bytes(b"x" * 100_000)
    (part,) = await OutputSealer(objects).seal(job(), UNDECLARED, Produced(file, "application/octet-stream"))
    file.write_bytes(b"y" * 100_000)
    assert await content_of(objects, part) == b"x" * 100_000


async def test_json_without_parts_keeps_its_bytes(objects: EmbeddedObjects) -> None:
    body = b'{ "b":1,\n"a": 1.50 }'
    (part,) = await OutputSealer(objects).seal(
        job("loose"), CONTRACT, Produced(body, "application/json; charset=utf-8")
    )
    assert await content_of(objects, part) == body


@pytest.mark.parametrize("how", ["bytes", "file", "base64", "data_url"])
@pytest.mark.parametrize("side", [10, 300])
async def test_parts_come_first_and_are_referred_to(
    objects: EmbeddedObjects, tmp_path: Path, how: str, side: int
) -> None:
    picture = png(side)
    assert (len(picture) > ROW_INLINE_BYTES_MAX) == (side == 300)
    file = tmp_path / "overlay"
    file.write_bytes(picture)
    text = base64.b64encode(picture).decode()
    in_json = {"base64": text, "data_url": f"data:image/png;base64,{text}"}.get(how)
    beside: dict[str, Any] = {"bytes": {"overlay": picture}, "file": {"overlay": file}}.get(how, {})
    produced = Produced(json.dumps({"rooms": 3, "overlay": in_json}).encode(), JSON, beside)
    overlay, result = await OutputSealer(objects).seal(job("rooms"), CONTRACT, produced)
    assert (overlay.name, overlay.object, overlay.media_type) == (
        "overlay",
        ObjectName("b", "out/1-overlay.png"),
        "image/png",
    )
    assert (result.name, result.object) == ("result", ObjectName("b", "out/1.out"))
    assert await content_of(objects, overlay) == picture
    assert json.loads(await content_of(objects, result)) == {
        "rooms": 3,
        "overlay": {
            "uri": "s3://b/out/1-overlay.png",
            "media_type": "image/png",
            "bytes": len(picture),
            "sha256": hashlib.sha256(picture).hexdigest(),
        },
    }


async def test_the_task_that_was_run_wins_over_the_jobs(objects: EmbeddedObjects) -> None:
    body = b'{"rooms": "three"}'
    with pytest.raises(SeatrialError, match="find_rooms"):
        await OutputSealer(objects).seal(job(None), CONTRACT, Produced(body, JSON), "find_rooms")
    await OutputSealer(objects).seal(job(None), CONTRACT, Produced(body, JSON), "loose")
    with pytest.raises(SeatrialError, match="not known which task"):
        await OutputSealer(objects).seal(job(None), CONTRACT, Produced(body, JSON))


async def test_an_optional_part_may_be_missing(objects: EmbeddedObjects) -> None:
    output = Output(JSON, None, (OutputPart("overlay", "image/png", required=False),))
    contract = Contract((Task("t", output=output),))
    (part,) = await OutputSealer(objects).seal(job(), contract, Produced(b'{"rooms": 1}', JSON))
    assert part.name == "result"


def answer(**members: Any) -> bytes:
    return json.dumps(members).encode()


TEXT = base64.b64encode(png()).decode()


@pytest.mark.parametrize(
    ("task", "produced", "says"),
    [
        ("rooms", Produced(answer(rooms=1), JSON), "part 'overlay' is missing"),
        ("rooms", Produced(answer(rooms="x", overlay=TEXT), JSON), "rooms must be an integer, is string"),
        ("rooms", Produced(answer(rooms=1, overlay=TEXT[4:]), JSON), "do not begin as image/png does"),
        ("rooms", Produced(answer(rooms=1, overlay="no picture"), JSON), "base64 text or a data URL"),
        ("rooms", Produced(answer(rooms=1, overlay=[1]), JSON), "base64 text or a data URL"),
        ("rooms", Produced(b"[]", JSON), "must be a JSON object"),
        ("rooms", Produced(b"{", JSON), "not valid JSON"),
        ("rooms", Produced(b"", JSON), "not valid JSON"),
        ("rooms", Produced(b'"\xff"', JSON), "not valid JSON"),
        ("rooms", Produced(answer(rooms=1), "text/plain"), "'text/plain'"),
        ("loose", Produced(b'{"a": [1, NaN]}', JSON), "a/1 must be a finite number"),
        ("loose", Produced(b"{}", JSON, {"mesh": b"x"}), "'mesh', which is not a declared part"),
        ("loose", Produced(b"x", "text/plain", {"mesh": b"x"}), "must be application/json"),
        ("draw", Produced(b"GIF89a", "image/png"), "do not begin as 'image/png'"),
        ("draw", Produced(png(), "image/jpeg"), "must be 'image/png'"),
        ("rooms", Produced(answer(rooms=1), JSON, {"overlay": Path("not/there.png")}), "cannot be read"),
        ("loose", Produced(Path("not/there.json"), JSON), "cannot be read"),
        ("loose", Produced(Path("not/there.txt"), "text/plain"), "cannot be read"),
    ],
)
async def test_an_answer_that_breaks_its_contract_stays_unseen(
    objects: EmbeddedObjects, tmp_path: Path, task: str, produced: Produced, says: str
) -> None:
    error = await refused(objects, task, produced)
    assert error.error_type == "output_contract"
    assert says in error.message
    assert blob_files(tmp_path) == []


async def test_what_was_staged_goes_when_the_rest_is_wrong(objects: EmbeddedObjects, tmp_path: Path) -> None:
    produced = Produced(answer(rooms="x"), JSON, {"overlay": png(300)})
    await refused(objects, "rooms", produced)
    assert blob_files(tmp_path) == []
    parts = await OutputSealer(objects).seal(job("rooms"), CONTRACT, Produced(answer(rooms=1), JSON, produced.parts))
    assert len(blob_files(tmp_path)) == 1
    assert parts[0].sealed.blob is not None


async def test_the_whole_output_is_bounded(
    objects: EmbeddedObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = png(300)
    monkeypatch.setattr("seatrial.engine.outputs.OUTPUT_BYTES_MAX", len(picture) + 20)
    error = await refused(objects, "rooms", Produced(answer(rooms=1), JSON, {"overlay": picture}))
    assert error.error_type == "output_too_large"
    assert blob_files(tmp_path) == []
    await OutputSealer(objects).seal(job("draw"), CONTRACT, Produced(picture, "image/png"))


async def test_json_is_checked_in_bounded_memory(objects: EmbeddedObjects, tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    with file.open("wb") as opened:
        opened.truncate(JSON_OUTPUT_BYTES_MAX + 1)
    error = await refused(objects, "loose", Produced(file, JSON))
    assert error.error_type == "output_too_large"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("a/b.out", "a/b-overlay.png"),
        ("a.b/c", "a.b/c-overlay.png"),
        ("a/b.tar.gz", "a/b.tar-overlay.png"),
        ("a/.out", "a/.out-overlay.png"),
        ("x", "x-overlay.png"),
    ],
)
def test_a_parts_name_follows_the_results(key: str, name: str) -> None:
    assert part_name(job(key=key).output, OVERLAY) == ObjectName("b", name)


def test_a_part_whose_name_cannot_be() -> None:
    with pytest.raises(SeatrialError, match="longer than 1,024 bytes"):
        part_name(job(key="k" * 1_020).output, OVERLAY)


def test_pillow_agrees_about_how_files_begin() -> None:
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "AVIF"):
        file = io.BytesIO()
        Image.new("RGB", (20, 20)).save(file, kind)
        beginning = file.getvalue()[:BEGINNING_BYTES]
        assert type_by_beginning(beginning) == f"image/{kind.lower()}"
        others = [
            one
            for one in EXTENSIONS
            if one.startswith("image/") and one not in (f"image/{kind.lower()}", "image/svg+xml")
        ]
        assert not any(begins_as(one, beginning) for one in others)
    assert begins_as("text/plain", b"anything")


@pytest.mark.parametrize("contract", [CONTRACT, UNDECLARED], ids=["declared", "undeclared"])
async def test_an_answer_that_says_that_it_failed_is_a_failure(objects: EmbeddedObjects, contract: Contract) -> None:
    produced = Produced(b'{"status": "error", "message": "Unknown task: initialization"}', JSON)
    with pytest.raises(SeatrialError, match="Unknown task: initialization") as refused:
        await OutputSealer(objects).seal(job("loose"), contract, produced)
    assert refused.value.error_type == "soft_failure"


async def test_a_task_may_say_that_such_an_answer_is_a_result(objects: EmbeddedObjects) -> None:
    told = Contract((Task("loose", output=Output(soft_failures=False)),))
    (part,) = await OutputSealer(objects).seal(job("loose"), told, Produced(b'{"status": "failed"}', JSON))
    assert part.name == "result"


async def test_an_undeclared_answer_that_is_no_json_passes_as_it_is(objects: EmbeddedObjects) -> None:
    (part,) = await OutputSealer(objects).seal(job(), UNDECLARED, Produced(b'{"error": ', JSON))
    assert part.sealed.size_bytes == 10
