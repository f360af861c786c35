"""Requests become work. The object store is the real one; URLs are answered by a real server on loopback."""

import asyncio
import base64
import io
import json
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from seatrial.adapters.objects.blobs import BlobFiles
from seatrial.adapters.objects.embedded import EmbeddedObjects
from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.object_names import SqlObjectNames
from seatrial.adapters.system.clock import SystemClock
from seatrial.adapters.urls.guarded import GuardedUrls
from seatrial.domain.addresses import PRIVATE_NETWORKS
from seatrial.domain.contract import Contract, Field, FieldType, MediaForm, Task
from seatrial.domain.credentials import EVERYTHING
from seatrial.domain.endpoint import EndpointVersion, PackageRef, VersionSettings
from seatrial.domain.errors import BadInput, SeatrialError
from seatrial.domain.jobs import Job, JobInput, JobPurpose, JobState, OutputPlan
from seatrial.domain.limits import BODY_IN_MEMORY_BYTES_MAX, JSON_INPUT_BYTES_MAX
from seatrial.domain.objects import ObjectInfo, ObjectName
from seatrial.domain.work import Work
from seatrial.engine.prepare import Preparer, discard_inputs, inputs_folder

TOKEN = "0123456789abcdef0123456789abcdef"
LARGE = 3 * BODY_IN_MEMORY_BYTES_MAX // 2
UNDECLARED = Contract(declared=False)
JSON = "application/json"
CORRUPT_PNG = (  # its data fails the checksum
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FAAD4AQMBGQdDkQAAAABJRU5ErkJggg=="
)
VERSION = EndpointVersion("v", "e", "plans", 1, PackageRef("", ""), VersionSettings(), 0)


def picture(kind: str = "PNG", size: tuple[int, int] = (12, 8)) -> bytes:
    image = Image.new("RGB", size)
    image.putdata([(n % 256, n // 7 % 256, 5 * n % 256) for n in range(size[0] * size[1])])
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


PNG = picture()


def image(form: MediaForm = MediaForm.BASE64, **more: Any) -> Field:
    given: dict[str, Any] = {"key_field": "image_s3_key", "bucket_field": "bucket", "required": True}
    return Field("image", FieldType.IMAGE, form=form, **(given | more))


STEPS = Field("steps", FieldType.INTEGER, schema={"type": "integer", "minimum": 1}, default=2)
OPTIONS = Field("options", FieldType.OBJECT, schema={"type": "object"})


def contract(*fields: Field, **more: Any) -> Contract:
    return Contract((Task("get_embedding", aliases=("initialization",), fields=fields, **more), Task("generate_3d")))


class Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/plan.png" else 404)
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        self.wfile.write(PNG if self.path == "/plan.png" else b"no")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
async def objects(tmp_path: Path) -> AsyncIterator[EmbeddedObjects]:
    database = await Database.open(tmp_path / "seatrial.db")
    blobs = BlobFiles(tmp_path / "blobs")
    store = EmbeddedObjects(SqlObjectNames(database), blobs, SystemClock())
    await store.create_bucket("b")
    yield store
    await database.close()
    blobs.close()


@pytest.fixture
async def preparer(objects: EmbeddedObjects) -> AsyncIterator[Preparer]:
    async with GuardedUrls(allow=PRIVATE_NETWORKS) as urls:
        yield Preparer(objects, urls, urls)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def put(objects: EmbeddedObjects, key: str, content: bytes) -> ObjectInfo:
    sealed = await objects.stage(content, len(content))
    return await objects.reveal(sealed, ObjectName("b", key), "application/octet-stream", {})


def job(body: bytes | dict[str, Any] = b"", media_type: str = JSON, **more: Any) -> Job:
    inline = body if isinstance(body, bytes) else json.dumps(body).encode()
    given: dict[str, Any] = {"input": JobInput(media_type, inline=inline), "task": None} | more
    return Job(
        id="job-1",
        owner="o",
        endpoint_id="e",
        endpoint_name="plans",
        version_id="v",
        purpose=JobPurpose.CLIENT,
        door="v1",
        state=JobState.RUNNING,
        priority=5,
        attempt=1,
        deaths=0,
        output=OutputPlan(ObjectName("b", "1.out"), ObjectName("b", "1-error.out")),
        accept="image/png",
        attributes={"inference_id": "i"},
        submitted_at_ms=0,
        queue_deadline_ms=1,
        invocation_timeout_ms=4_000,
        decide_by_ms=2,
        **given,
    )


@pytest.fixture
def run(preparer: Preparer, scratch: Path) -> Any:
    async def prepare(asked: Job, declared: Contract, layout: str = "python") -> Work:
        return await preparer.prepare(asked, VERSION, declared, layout, TOKEN, scratch)

    return prepare


async def refused(prepared: Any) -> BadInput:
    with pytest.raises(BadInput) as caught:
        await prepared
    return caught.value


def form(**parts: str | bytes | tuple[str, bytes]) -> tuple[bytes, str]:
    """A multipart/form-data body and its type; a tuple is a file with its name."""
    lines = []
    for name, part in parts.items():
        filename = f'; filename="{part[0]}"' if isinstance(part, tuple) else ""
        content = part[1] if isinstance(part, tuple) else part
        content = content.encode() if isinstance(content, str) else content
        lines.append(
            b'--cut\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n' % (name.encode(), filename.encode())
        )
        lines.append(content + b"\r\n")
    return b"".join([*lines, b"--cut--\r\n"]), "multipart/form-data; boundary=cut"


# ---------------------------------------------------------------- undeclared contracts


@pytest.mark.parametrize("layout", ["python", "sagemaker"])
async def test_an_undeclared_body_passes_as_it_is(run: Any, tmp_path: Path, layout: str) -> None:
    work = await run(job(b"\x00 not json", "text/weird; x=1", task="any"), UNDECLARED, layout)
    assert work == Work(
        token=TOKEN,
        job_id="job-1",
        timeout_ms=4_000,
        task="any",
        body=b"\x00 not json",
        media_type="text/weird; x=1",
        accept="image/png",
        attributes={"inference_id": "i"},
    )
    assert "scratch" not in names_in(tmp_path)


async def test_a_big_undeclared_object_becomes_a_file_and_is_discarded(
    run: Any, objects: EmbeddedObjects, scratch: Path
) -> None:
    content = bytes(range(256)) * (LARGE // 256)
    ref = (await put(objects, "big", content)).ref
    work = await run(job(input=JobInput(JSON, ref=ref)), UNDECLARED)
    assert isinstance(work.body, Path)
    assert work.body.parent == inputs_folder(TOKEN, scratch)
    assert work.body.read_bytes() == content
    await discard_inputs(TOKEN, scratch)
    assert not inputs_folder(TOKEN, scratch).exists()
    await discard_inputs(TOKEN, scratch)


async def test_a_pinned_input_is_read_or_its_loss_is_told(run: Any, objects: EmbeddedObjects) -> None:
    ref = (await put(objects, "in.json", b'{"a": 1}')).ref
    by_object = job(input=JobInput(JSON, ref=ref))
    assert (await run(by_object, UNDECLARED)).body == b'{"a": 1}'
    await put(objects, "in.json", b'{"a": 2}')
    changed = await refused(run(by_object, UNDECLARED))
    assert (changed.error_type, changed.field) == ("input_changed", "input")
    await objects.delete(ref.name)
    gone = await refused(run(by_object, UNDECLARED))
    assert gone.error_type == "input_not_found"
    assert "'in.json' in 'b'" in gone.message
    assert "aws s3 ls s3://b/" in gone.message


# ---------------------------------------------------------------- the python layout


async def test_fields_reach_a_python_handler(run: Any, tmp_path: Path) -> None:
    work = await run(job({"task": "initialization", "options": {"a": 1}}), contract(STEPS, OPTIONS))
    assert (work.task, work.fields, work.body, work.media) == (
        "get_embedding",
        {"steps": 2, "options": {"a": 1}},
        b"",
        {},
    )
    assert "scratch" not in names_in(tmp_path)


async def test_a_named_task_wins_over_the_body(run: Any) -> None:
    assert (await run(job({"task": "get_embedding"}, task="generate_3d"), contract())).task == "generate_3d"


async def all_forms(objects: EmbeddedObjects, site: str) -> dict[str, Job]:
    """The same picture in every form."""
    await put(objects, "plans/a.PNG", PNG)
    text = base64.b64encode(PNG).decode()
    named = {"task": "get_embedding"}
    body, media_type = form(task="get_embedding", image=("a.png", PNG))
    return {
        "uri": job(named | {"image": "s3://b/plans/a.PNG"}),
        "key": job(named | {"image": "plans/a.PNG", "bucket": "b"}),
        "key_field": job(named | {"image_s3_key": "plans/a.PNG", "bucket": "b"}),
        "object": job(named | {"image": {"bucket": "b", "key": "plans/a.PNG"}}),
        "url": job(named | {"image": f"{site}/plan.png"}),
        "data_url": job(named | {"image": f"data:image/png;base64,{text}"}),
        "base64": job(named | {"image": text}),
        "folded": job(named | {"image": base64.encodebytes(PNG).decode()}),
        "url_safe": job(named | {"image": base64.urlsafe_b64encode(PNG).decode()}),
        "multipart": job(body, media_type),
        "raw": job(PNG, "image/png", task="initialization"),
        "raw_object": job(input=JobInput("image/png", ref=(await put(objects, "raw", PNG)).ref), task="get_embedding"),
    }


@pytest.mark.parametrize("wanted", [MediaForm.BYTES, MediaForm.BASE64, MediaForm.PATH])
async def test_a_python_handler_gets_the_same_bytes_by_every_form(
    run: Any, objects: EmbeddedObjects, site: str, scratch: Path, wanted: MediaForm
) -> None:
    for name, asked in (await all_forms(objects, site)).items():
        work = await run(asked, contract(image(wanted), STEPS))
        content = work.media["image"]
        if wanted is MediaForm.PATH:
            assert isinstance(content, Path), name
            assert content == inputs_folder(TOKEN, scratch) / "image.png", name
            content = content.read_bytes()
        assert content == PNG, name
        assert work.media_forms == {"image": wanted}, name
        assert work.fields == {"steps": 2}, name
        await discard_inputs(TOKEN, scratch)


async def test_a_body_handler_gets_the_same_text_by_every_form(run: Any, objects: EmbeddedObjects, site: str) -> None:
    text = base64.b64encode(PNG).decode()
    for name, asked in (await all_forms(objects, site)).items():
        if asked.input.media_type == "image/png":
            continue
        work = await run(asked, contract(image()), "sagemaker")
        payload = json.loads(work.body)
        assert payload.pop("bucket", "b") == "b"
        assert payload == {"task": "get_embedding", "image": text}, name
        assert (work.task, work.media_type) == ("get_embedding", JSON)


async def test_the_path_is_a_copy_that_the_handler_may_change(run: Any, objects: EmbeddedObjects) -> None:
    big = picture("BMP", (400, 300))
    await put(objects, "a.bmp", big)
    work = await run(job({"task": "get_embedding", "image": "s3://b/a.bmp"}), contract(image(MediaForm.PATH)))
    work.media["image"].write_bytes(b"scribbled over")
    reading = await objects.read(ObjectName("b", "a.bmp"))
    assert b"".join([chunk async for chunk in reading.chunks]) == big


@pytest.mark.parametrize(
    ("key", "content", "name"),
    [
        ("mesh.GLB", b"x", "mesh.GLB"),
        ("noext", b"glTF....", "mesh.glb"),
        ("noext", b"??", "mesh"),
        ("odd.e/../x", b"??", "mesh"),
        ("a.b;rm -rf", b"??", "mesh"),
    ],
)
async def test_a_file_keeps_an_extension_that_is_safe(
    run: Any, objects: EmbeddedObjects, scratch: Path, key: str, content: bytes, name: str
) -> None:
    await put(objects, key, content)
    field = Field("mesh", FieldType.FILE, form=MediaForm.PATH)
    work = await run(job({"task": "get_embedding", "mesh": {"bucket": "b", "key": key}}), contract(field))
    assert work.media["mesh"] == inputs_folder(TOKEN, scratch) / name


async def test_media_as_sent_stays_a_field(run: Any, objects: EmbeddedObjects) -> None:
    as_sent = contract(image(MediaForm.AS_SENT))
    by_key = {"image_s3_key": "not/there.png", "bucket": "b"}
    work = await run(job({"task": "get_embedding"} | by_key), as_sent)
    assert (work.fields, work.media) == (by_key, {})
    work = await run(job(PNG, "image/png", task="get_embedding"), as_sent)
    assert (work.media, work.media_forms) == ({"image": PNG}, {"image": "bytes"})


# ---------------------------------------------------------------- layouts that take a body


async def test_a_body_that_needs_no_change_stays_as_it_was_written(run: Any) -> None:
    text = base64.b64encode(PNG).decode()
    body = b'{ "task":"get_embedding",\n "image": "%s", "steps" : 3 }' % text.encode()
    for kind in ("application/json; charset=utf-8", "application/vnd.plans+json"):
        work = await run(job(body, kind), contract(image(), STEPS), "sagemaker")
        assert (work.body, work.media_type, work.task) == (body, kind, "get_embedding")


async def test_a_byte_order_mark_is_taken_away(run: Any) -> None:
    work = await run(job(b'\xef\xbb\xbf{"task": "generate_3d"}'), contract(), "sagemaker")
    assert work.body == b'{"task": "generate_3d"}'


async def test_an_alias_reaches_the_handler_as_the_name_it_knows(run: Any) -> None:
    work = await run(job({"task": "initialization", "steps": 3}), contract(STEPS), "sagemaker")
    assert json.loads(work.body) == {"task": "get_embedding", "steps": 3}


async def test_a_task_that_a_header_names_is_written_into_the_body(run: Any) -> None:
    work = await run(job({"steps": 3}, task="initialization"), contract(STEPS), "sagemaker")
    assert json.loads(work.body) == {"task": "get_embedding", "steps": 3}
    only = Contract((Task("only", fields=(STEPS,)),))
    assert (await run(job({"steps": 3}, task="only"), only, "sagemaker")).body == b'{"steps": 3}'


async def test_declared_defaults_reach_a_body_handler(run: Any) -> None:
    work = await run(job({"task": "get_embedding"}), contract(STEPS), "sagemaker")
    assert json.loads(work.body) == {"task": "get_embedding", "steps": 2}


async def test_paths_and_keys_in_a_body(run: Any, objects: EmbeddedObjects, scratch: Path) -> None:
    await put(objects, "a.png", PNG)
    asked = job({"task": "get_embedding", "image_s3_key": "a.png", "bucket": "b"})
    by_path = json.loads((await run(asked, contract(image(MediaForm.PATH)), "sagemaker")).body)
    assert by_path == {
        "task": "get_embedding",
        "bucket": "b",
        "image": str(inputs_folder(TOKEN, scratch) / "image.png"),
    }
    as_sent = await run(asked, contract(image(MediaForm.AS_SENT)), "sagemaker")
    assert as_sent.body == asked.input.inline


async def test_a_raw_body_goes_on_unchanged(run: Any, objects: EmbeddedObjects) -> None:
    for asked in (
        job(PNG, "image/png", task="initialization"),
        job(input=JobInput("image/png", ref=(await put(objects, "r", PNG)).ref), task="get_embedding"),
    ):
        work = await run(asked, contract(image()), "sagemaker")
        assert (work.body, work.media_type, work.task) == (PNG, "image/png", "get_embedding")


async def test_a_big_raw_body_is_a_file_in_every_layout(run: Any, objects: EmbeddedObjects, scratch: Path) -> None:
    content = picture("BMP", (2_200, 2_000))
    assert len(content) > BODY_IN_MEMORY_BYTES_MAX
    asked = job(input=JobInput("image/bmp", ref=(await put(objects, "r", content)).ref), task="get_embedding")
    work = await run(asked, contract(image()), "sagemaker")
    assert isinstance(work.body, Path)
    assert work.body.read_bytes() == content
    await discard_inputs(TOKEN, scratch)
    work = await run(asked, contract(image(MediaForm.PATH)))
    assert work.media["image"] == inputs_folder(TOKEN, scratch) / "image.bmp"
    assert work.media["image"].read_bytes() == content
    await discard_inputs(TOKEN, scratch)
    assert (await run(asked, contract(image(MediaForm.BYTES)))).media["image"] == content


# ---------------------------------------------------------------- forms


async def test_text_parts_are_read_by_their_fields_type(run: Any) -> None:
    name = Field("name", FieldType.STRING, schema={"type": "string"})
    body, kind = form(task="initialization", steps="7", options='{"a": [1]}', name="12", image=("a", PNG))
    work = await run(job(body, kind), contract(image(MediaForm.BYTES), STEPS, OPTIONS, name))
    assert work.fields == {"steps": 7, "options": {"a": [1]}, "name": "12"}
    assert (work.task, work.media) == ("get_embedding", {"image": PNG})


async def test_a_part_without_a_file_name_may_be_a_reference(run: Any, objects: EmbeddedObjects) -> None:
    await put(objects, "a.png", PNG)
    body, kind = form(task="get_embedding", image="s3://b/a.png")
    assert (await run(job(body, kind), contract(image(MediaForm.BYTES)))).media == {"image": PNG}


@pytest.mark.parametrize(
    ("parts", "kind", "word", "says"),
    [
        ({"steps": "many"}, None, "invalid_field", "must be written as JSON (it is of the type integer)"),
        ({"steps": "0"}, None, "invalid_field", "at least 1"),
        ({"name": b"\xff"}, None, "invalid_field", "not text"),
        ({"nmae": "x"}, None, "unknown_field", "nmae"),
        ({"options": ("o.json", b"\xff")}, None, "invalid_field", "not UTF-8"),
        ({}, "multipart/form-data", "malformed_input", "names no boundary"),
        ({}, "multipart/form-data; boundary=other", "malformed_input", "multipart/form-data"),
    ],
)
async def test_a_wrong_form_is_told(run: Any, parts: dict[str, Any], kind: str | None, word: str, says: str) -> None:
    body, right = form(**{"task": "get_embedding", "image": ("a.png", PNG)} | parts)
    error = await refused(run(job(body, kind or right), contract(image(), STEPS, OPTIONS)))
    assert error.error_type == word
    assert says in error.message


async def test_a_form_that_breaks_off_or_repeats_itself_is_malformed(run: Any) -> None:
    body, kind = form(task="get_embedding", image=("a.png", PNG))
    cut = await refused(run(job(body[:-20], kind), contract(image())))
    assert "ends before its last boundary" in cut.message
    twice = body.removesuffix(b"--cut--\r\n") + body
    assert "twice" in (await refused(run(job(twice, kind), contract(image())))).message


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("body", "kind", "task", "word", "says"),
    [
        (b"{", JSON, None, "malformed_input", "line 1 column 2"),
        (b"[]", JSON, None, "malformed_input", "must be an object"),
        (b'{"task": "warm_up"}', JSON, None, "unknown_task", "get_embedding (also: initialization), generate_3d"),
        (b"{}", JSON, None, "missing_field", "No task is named"),
        (PNG, "image/png", None, "missing_field", "No task is named"),
        (PNG, "image/png", "generate_3d", "unsupported_media_type", "takes no raw body"),
        (b"a=1", "application/x-www-form-urlencoded", "generate_3d", "unsupported_media_type", "takes no raw body"),
        (b'{"task": "get_embedding"}', JSON, None, "missing_field", "'image' is required"),
    ],
)
async def test_a_bad_request_is_refused_at_the_door_and_at_the_run(
    run: Any, preparer: Preparer, body: bytes, kind: str, task: str | None, word: str, says: str
) -> None:
    error = await refused(run(job(body, kind, task=task), contract(image())))
    with pytest.raises(BadInput) as caught:
        preparer.check(contract(image()), kind, body, task, "job-1", EVERYTHING)
    assert error.error_type == caught.value.error_type == word
    assert says in error.message
    assert caught.value.message == error.message


async def test_a_handler_that_checks_by_itself_gets_what_was_sent(run: Any) -> None:
    alone = Contract((Task("draw", fields=(STEPS,), handler_checks=True),))
    work = await run(job(b'{"task": "draw", "steps": "many", "nmae": 1}', JSON), alone, "runpod")
    assert json.loads(work.body) == {"steps": "many", "nmae": 1}
    work = await run(job(b'{"task": "draw", "steps": "many"}', JSON), alone)
    assert work.fields == {"steps": "many"}


def test_check_names_the_task_and_fetches_nothing(preparer: Preparer) -> None:
    body = b'{"task": "initialization", "image": "s3://no/such"}'
    assert preparer.check(contract(image()), JSON, body, None, "job-1", EVERYTHING) == "get_embedding"
    assert preparer.check(UNDECLARED, JSON, b"anything", "x", "job-1", EVERYTHING) is None


async def test_two_media_fields_cannot_be_one_raw_body(run: Any) -> None:
    mask = Field("mask", FieldType.IMAGE, required=True)
    error = await refused(run(job(PNG, "image/png", task="get_embedding"), contract(image(), mask)))
    assert error.error_type == "unsupported_media_type"
    assert "image, mask" in error.message
    assert "multipart/form-data" in error.message
    optional = replace(mask, required=False)
    work = await run(job(PNG, "image/png", task="get_embedding"), contract(image(MediaForm.BYTES), optional))
    assert work.media == {"image": PNG}


async def test_json_beyond_its_limit_is_not_read(run: Any, objects: EmbeddedObjects) -> None:
    ref = (await put(objects, "big.json", bytes(JSON_INPUT_BYTES_MAX + 1))).ref
    error = await refused(run(job(input=JobInput(JSON, ref=ref)), contract()))
    assert error.error_type == "payload_too_large"
    assert f"{JSON_INPUT_BYTES_MAX:,}" in error.message


async def test_media_that_is_not_there(run: Any) -> None:
    for uri, says in (("s3://b/no.png", "no object 'no.png' in 'b'"), ("s3://none/no.png", "no bucket 'none'")):
        error = await refused(run(job({"task": "get_embedding", "image": uri}), contract(image())))
        assert (error.error_type, error.field) == ("input_not_found", "image")
        assert says in error.message
        assert error.details["key"] == "no.png"


async def test_media_beyond_its_limit_is_not_fetched(run: Any, objects: EmbeddedObjects, site: str) -> None:
    await put(objects, "a.png", PNG)
    small = contract(image(bytes_max=len(PNG) - 1))
    for asked in (await all_forms(objects, site)).values():
        error = await refused(run(asked, small))
        assert (error.error_type, error.field) == ("media_too_large", "image")
        assert f"{len(PNG) - 1:,}" in error.message


async def test_a_url_that_fails_names_its_field(run: Any, site: str) -> None:
    error = await refused(run(job({"task": "get_embedding", "image": f"{site}/other"}), contract(image())))
    assert (error.error_type, error.field) == ("input_unreachable", "image")
    assert "404" in error.message


# ---------------------------------------------------------------- pictures


async def judged(run: Any, content: bytes, **limits: Any) -> BadInput:
    asked = job({"task": "get_embedding", "image": base64.b64encode(content).decode()})
    return await refused(run(asked, contract(image(**limits))))


@pytest.mark.parametrize("form_wanted", sorted(set(MediaForm)))
@pytest.mark.parametrize("layout", ["python", "sagemaker"])
async def test_the_corrupt_picture_of_the_report_is_undecodable(run: Any, layout: str, form_wanted: MediaForm) -> None:
    asked = job({"task": "initialization", "image": CORRUPT_PNG})
    error = await refused(run(asked, contract(image(form_wanted)), layout))
    assert (error.error_type, error.field) == ("image_undecodable", "image")
    assert "a whole PNG, JPEG" in str(error.valid)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
async def test_whole_pictures_pass_and_truncated_ones_do_not(run: Any, kind: str) -> None:
    content = picture(kind, (64, 48))
    asked = job({"task": "get_embedding", "image": base64.b64encode(content).decode()})
    assert (await run(asked, contract(image(MediaForm.BYTES)))).media["image"] == content
    for cut in (len(content) - 40, len(content) // 2, 30):
        error = await judged(run, content[:cut])
        assert error.error_type == "image_undecodable", (kind, cut)


async def test_a_thumbnail_does_not_make_a_truncated_jpeg_whole(run: Any) -> None:
    thumbnail = picture("JPEG", (16, 16))
    exif = b"Exif\x00\x00" + thumbnail
    whole = picture("JPEG", (64, 48))
    content = whole[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + whole[2:]
    asked = job({"task": "get_embedding", "image": base64.b64encode(content).decode()})
    assert (await run(asked, contract(image(MediaForm.BYTES)))).media["image"] == content
    error = await judged(run, content[:-50])
    assert "ends before the picture does" in error.message


async def test_a_format_that_is_not_taken_is_named(run: Any) -> None:
    error = await judged(run, picture("JPEG"), formats=("png", "webp"))
    assert error.error_type == "unsupported_media_type"
    assert error.message == "'image' is a JPEG; accepted: png, webp"
    assert (error.field, error.valid) == ("image", "png, webp")


async def test_a_mode_that_is_not_taken_is_named(run: Any) -> None:
    error = await judged(run, picture("JPEG"), modes=("grey", "rgba"))
    assert error.error_type == "unsupported_media_type"
    assert error.message == "'image' is a picture of the mode rgb; accepted: grey, rgba"


async def test_too_small_a_picture_is_named_with_the_limit(run: Any) -> None:
    error = await judged(run, picture("PNG"), pixels_min=10**6)
    assert (error.error_type, error.valid) == ("media_too_small", "at least 1,000,000 pixels")


async def test_text_is_no_picture(run: Any) -> None:
    assert "no known format" in (await judged(run, b"certainly not a picture")).message


async def test_a_reader_that_could_run_programs_is_never_tried(run: Any) -> None:
    error = await judged(run, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    assert "no known format" in error.message


def with_png_size(width: int, height: int) -> bytes:
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + PNG[24:29]
    return PNG[:12] + header + zlib.crc32(header).to_bytes(4, "big") + PNG[33:]


async def test_pixels_are_counted_before_anything_is_decoded(run: Any) -> None:
    """The header promises 30,000 by 30,000 pixels."""
    error = await judged(run, with_png_size(30_000, 30_000))
    assert error.error_type == "media_too_large"
    assert "900,000,000" in error.message
    assert "100,000,000" in error.message


async def test_without_pillow_the_extra_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seatrial.engine.images.HAS_PILLOW", False)
    asked = job({"task": "get_embedding", "image": base64.b64encode(PNG).decode()})
    with pytest.raises(SeatrialError, match=r"pip install 'seatrial\[media\]'") as caught:
        await run(asked, contract(image()))
    assert caught.value.error_type == "media_support_missing"


async def test_many_pictures_at_once(preparer: Preparer, scratch: Path) -> None:
    text = base64.b64encode(PNG).decode()
    asked = job({"task": "get_embedding", "image": text})
    declared = contract(image(MediaForm.PATH))
    works = await asyncio.gather(
        *(preparer.prepare(asked, VERSION, declared, "python", f"{n:032x}", scratch) for n in range(20))
    )
    assert len({work.media["image"] for work in works}) == 20


async def test_what_the_door_has_read_is_not_read_again_unless_the_contract_is_another(
    preparer: Preparer, run: Any
) -> None:
    door, newer = contract(STEPS), contract(STEPS, OPTIONS)
    told_at_the_door = b'{"task": "get_embedding", "steps": 3}'
    in_the_store = job(b'{"task": "get_embedding", "steps": 9}')  # never so, but it shows which of the two is used

    async def steps(by: Contract) -> int:
        return int((await run(in_the_store, by)).fields["steps"])

    preparer.check(door, JSON, told_at_the_door, None, in_the_store.id, EVERYTHING)
    assert [await steps(door), await steps(door)] == [3, 9]
    preparer.check(door, JSON, told_at_the_door, None, in_the_store.id, EVERYTHING)
    assert [await steps(newer), await steps(door)] == [9, 9]
