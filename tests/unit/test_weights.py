import asyncio
import hashlib
import itertools
import os
import random
import shutil
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from seatrial.adapters.objects.blobs import BlobFiles
from seatrial.adapters.objects.embedded import EmbeddedObjects
from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.object_names import SqlObjectNames
from seatrial.adapters.system.clock import SystemClock
from seatrial.adapters.weights import kept as kept_module
from seatrial.adapters.weights import store as store_module
from seatrial.adapters.weights.partial import Partial
from seatrial.adapters.weights.store import FRUITLESS_TRIES_MAX, FolderWeights
from seatrial.domain.addresses import PRIVATE_NETWORKS, IpNetwork
from seatrial.domain.errors import Unproven
from seatrial.domain.objects import ObjectName
from seatrial.package.manifest import WeightsSpec

CONTENT = random.Random(7).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
Seen = list[tuple[str, int, int | None]]


class Origin:
    """A real HTTP server for one file that knows Range and If-Range, and breaks off where a test says."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.etag: str | None = '"one"'
        self.ranges = True
        self.break_after: list[int | None] = []  # for each request: bytes until the connection ends, None: all
        self.statuses: list[int] = []
        self.requests: list[dict[str, str]] = []
        self.redirect: str | None = None
        origin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                origin.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/w.bin"

    def answer(self, call: BaseHTTPRequestHandler) -> None:
        self.requests.append({name.lower(): value for name, value in call.headers.items()})
        status = self.statuses.pop(0) if self.statuses else 200
        if self.redirect is not None and call.path != "/moved":
            call.send_response(302)
            call.send_header("Location", self.redirect)
            call.send_header("Content-Length", "0")
            call.end_headers()
            return
        if status != 200:
            call.send_error(status)
            return
        start = self.start_of(call)
        if start and start >= len(self.content):
            call.send_response(416)
            call.send_header("Content-Range", f"bytes */{len(self.content)}")
            call.send_header("Content-Length", "0")
            call.end_headers()
            return
        call.send_response(206 if start else 200)
        if start:
            call.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if self.etag:
            call.send_header("ETag", self.etag)
        call.send_header("Content-Length", str(len(self.content) - start))
        call.end_headers()
        limit = self.break_after.pop(0) if self.break_after else None
        call.wfile.write(self.content[start:] if limit is None else self.content[start : start + limit])
        call.close_connection = True

    def start_of(self, call: BaseHTTPRequestHandler) -> int:
        wanted = call.headers.get("Range", "")
        same = call.headers.get("If-Range", self.etag) == self.etag
        return int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and same and self.ranges else 0


@pytest.fixture
def origin() -> Iterator[Origin]:
    one = Origin()
    thread = threading.Thread(target=one.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield one
    one.server.shutdown()
    one.server.server_close()
    thread.join()


@pytest.fixture
async def objects(tmp_path: Path) -> AsyncIterator[EmbeddedObjects]:
    database = await Database.open(tmp_path / "seatrial.db")
    blobs = BlobFiles(tmp_path / "blobs")
    yield EmbeddedObjects(SqlObjectNames(database), blobs, SystemClock())
    await database.close()
    blobs.close()


@pytest.fixture
def store(tmp_path: Path, objects: EmbeddedObjects) -> FolderWeights:
    return new_store(tmp_path, objects)


def new_store(
    tmp_path: Path, objects: EmbeddedObjects, *, allow: tuple[IpNetwork, ...] = PRIVATE_NETWORKS
) -> FolderWeights:
    async def no_pause(_: float) -> None:
        await asyncio.sleep(0)

    return FolderWeights(tmp_path / "weights", objects, allow=allow, pause=no_pause)


def spec(uri: str, sha256: str = SHA256) -> WeightsSpec:
    return WeightsSpec("weights/w.bin", uri, sha256)


def ignore(*_: object) -> None:
    pass


async def fetched(store: FolderWeights, uri: str, tmp_path: Path, sha256: str = SHA256) -> tuple[Path, Seen]:
    seen: Seen = []
    path = await store.fetch(spec(uri, sha256), tmp_path, lambda *said: seen.append(said))
    return path, seen


async def refused(store: FolderWeights, uri: str, tmp_path: Path, sha256: str = SHA256) -> Unproven:
    with pytest.raises(Unproven) as caught:
        await store.fetch(spec(uri, sha256), tmp_path, ignore)
    assert caught.value.error_type == "weights"
    assert caught.value.details["remedy"] not in caught.value.message  # whoever shows the error adds it
    return caught.value


def test_the_hash_of_a_folder_is_that_of_its_sorted_lines(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_bytes(b"1")
    (tmp_path / "a").write_bytes(b"2")
    lines = [f"{hashlib.sha256(b'1').hexdigest()}  b/x\n", f"{hashlib.sha256(b'2').hexdigest()}  a\n"]
    assert kept_module.weights_hash(tmp_path) == hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


@pytest.mark.parametrize("form", ["file://{}", "{}", "relative"])
async def test_a_file_is_kept_once_and_found_by_its_hash_when_the_source_is_gone(
    store: FolderWeights, objects: EmbeddedObjects, tmp_path: Path, form: str
) -> None:
    source = tmp_path / "a b.bin"
    source.write_bytes(CONTENT)
    uri = "a b.bin" if form == "relative" else form.format(str(source).replace(" ", "%20" if "file" in form else " "))
    path, seen = await fetched(store, uri, tmp_path)
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert seen[-1] == ("weights/w.bin: checking its SHA-256", len(CONTENT), len(CONTENT))
    assert path.stat().st_ino != source.stat().st_ino
    source.unlink()
    for again in (store, new_store(tmp_path, objects)):
        assert await fetched(again, "https://elsewhere.invalid/w", tmp_path) == (path, [])


async def test_kept_weights_are_not_hashed_again_unless_touched(
    store: FolderWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "w"
    source.write_bytes(CONTENT)
    path, _ = await fetched(store, str(source), tmp_path)
    hashed: list[Path] = []
    real_hash = kept_module.weights_hash
    monkeypatch.setattr(kept_module, "weights_hash", lambda content: hashed.append(content) or real_hash(content))
    await fetched(store, str(source), tmp_path)
    assert hashed == []
    os.utime(path)
    _, seen = await fetched(store, str(source), tmp_path)
    assert (hashed, seen) == ([path], [])
    path.chmod(0o644)
    path.write_bytes(b"spoilt")
    path, seen = await fetched(store, str(source), tmp_path)
    assert path.read_bytes() == CONTENT
    assert seen


async def test_two_fetches_of_the_same_content_make_one(store: FolderWeights, origin: Origin, tmp_path: Path) -> None:
    results = await asyncio.gather(*(fetched(store, origin.url, tmp_path) for _ in range(4)))
    assert len({path for path, _ in results}) == 1
    assert len(origin.requests) == 1


async def test_a_break_in_the_middle_is_resumed(store: FolderWeights, origin: Origin, tmp_path: Path) -> None:
    origin.break_after = [1_000_000, 500_000]
    path, seen = await fetched(store, origin.url, tmp_path)
    assert path.read_bytes() == CONTENT
    assert [one.get("range") for one in origin.requests] == [None, "bytes=1000000-", "bytes=1500000-"]
    assert [one.get("if-range") for one in origin.requests] == [None, '"one"', '"one"']
    done = [one[1] for one in seen]
    assert done == sorted(done)
    assert {one[2] for one in seen} == {len(CONTENT)}


@pytest.mark.parametrize(
    ("seconds_of_a_look", "told_most"),
    [(0.0, 0), (0.1, 61), (3600.0, 100)],  # the clock is looked at twice for a file
)
async def test_progress_is_told_seldom_and_at_the_end(
    objects: EmbeddedObjects, tmp_path: Path, seconds_of_a_look: float, told_most: int
) -> None:
    """Three hundred files: at most once a second, and at most once for each hundredth of the bytes."""
    (tmp_path / "many").mkdir()
    for number in range(300):
        (tmp_path / "many" / f"{number:03}").write_bytes(bytes(1_000))
    looks = itertools.count()
    store = FolderWeights(tmp_path / "weights", objects, monotonic=lambda: next(looks) * seconds_of_a_look)
    sha256 = kept_module.weights_hash(tmp_path / "many")
    _, seen = await fetched(store, f"{tmp_path}/many/", tmp_path, sha256)
    *progress, end, checking = seen
    assert progress[0] == ("weights/w.bin", 0, 300_000)
    assert told_most // 2 < len(progress) <= told_most + 1
    done = [one[1] for one in [*progress, end]]
    assert done == sorted(set(done))
    assert end == ("weights/w.bin", 300_000, 300_000)
    assert checking == ("weights/w.bin: checking its SHA-256", 300_000, 300_000)


async def test_a_fetch_reads_on_after_a_restart_of_the_server(
    store: FolderWeights, objects: EmbeddedObjects, origin: Origin, tmp_path: Path
) -> None:
    origin.break_after = [1_200_000] + [0] * (FRUITLESS_TRIES_MAX + 1)
    error = await refused(store, origin.url, tmp_path)
    assert "broke off" in error.message
    origin.requests.clear()
    origin.break_after.clear()
    path, _ = await fetched(new_store(tmp_path, objects), origin.url, tmp_path)
    assert path.read_bytes() == CONTENT
    assert [one.get("range") for one in origin.requests] == ["bytes=1200000-"]


async def test_a_file_that_changed_meanwhile_is_fetched_anew(
    store: FolderWeights, origin: Origin, tmp_path: Path
) -> None:
    origin.break_after = [1_000_000]
    real_answer = origin.answer

    def answer(call: BaseHTTPRequestHandler) -> None:
        if origin.requests:
            origin.content, origin.etag = CONTENT[::-1], '"two"'
        real_answer(call)

    origin.answer = answer  # type: ignore[method-assign]
    path, _ = await fetched(store, origin.url, tmp_path, hashlib.sha256(CONTENT[::-1]).hexdigest())
    assert path.read_bytes() == CONTENT[::-1]


async def test_a_server_without_ranges_is_read_from_the_start(
    store: FolderWeights, origin: Origin, tmp_path: Path
) -> None:
    origin.ranges = False
    origin.break_after = [1_000_000, 2_000_000]
    path, _ = await fetched(store, origin.url, tmp_path)
    assert path.read_bytes() == CONTENT


async def test_a_server_without_ranges_that_always_breaks_at_one_place_is_given_up(
    store: FolderWeights, origin: Origin, tmp_path: Path
) -> None:
    origin.ranges = False
    origin.break_after = [1_000_000] * 100
    assert "broke off" in (await refused(store, origin.url, tmp_path)).message
    assert len(origin.requests) == FRUITLESS_TRIES_MAX + 2


async def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(
    store: FolderWeights, origin: Origin, tmp_path: Path
) -> None:
    origin.statuses = [503, 429]
    await fetched(store, origin.url, tmp_path)
    assert len(origin.requests) == 3
    origin.requests.clear()
    origin.statuses = [404]
    assert "answers 404" in (await refused(store, origin.url, tmp_path, "1" * 64)).message
    assert len(origin.requests) == 1


async def test_another_hash_names_both_and_leaves_nothing(store: FolderWeights, origin: Origin, tmp_path: Path) -> None:
    error = await refused(store, origin.url, tmp_path, "1" * 64)
    assert SHA256 in error.message
    assert "1" * 64 in error.message
    assert error.field == "sha256"
    assert list((tmp_path / "weights").iterdir()) == []


async def test_what_came_whole_before_a_crash_is_not_sent_again(
    store: FolderWeights, origin: Origin, tmp_path: Path
) -> None:
    partial = Partial(tmp_path / "weights" / f".partial-{SHA256}", origin.url)
    with partial.writer("", 0, origin.etag) as body:
        body.write(CONTENT)
    path, _ = await fetched(store, origin.url, tmp_path)
    assert path.read_bytes() == CONTENT
    assert [one.get("range") for one in origin.requests] == [f"bytes={len(CONTENT)}-"]


async def test_what_came_from_another_uri_is_thrown_away(store: FolderWeights, origin: Origin, tmp_path: Path) -> None:
    partial = Partial(tmp_path / "weights" / f".partial-{SHA256}", "https://another.invalid/w")
    with partial.writer("", 0, origin.etag) as body:
        body.write(b"other bytes")
    await fetched(store, origin.url, tmp_path)
    assert [one.get("range") for one in origin.requests] == [None]


async def test_a_private_address_is_refused_also_after_a_redirect(
    objects: EmbeddedObjects, origin: Origin, tmp_path: Path
) -> None:
    guarded = new_store(tmp_path, objects, allow=())
    for host in ("127.0.0.1", "localhost"):
        error = await refused(guarded, origin.url.replace("127.0.0.1", host), tmp_path)
        assert "which is not allowed" in error.message
    assert origin.requests == []
    # An open first hop that leads to a machine's own credentials: link-local stays shut even where private is open.
    origin.redirect = "http://169.254.169.254/latest/meta-data/"
    error = await refused(new_store(tmp_path, objects), origin.url, tmp_path)
    assert "169.254.169.254 (link-local), which is not allowed" in error.message
    assert len(origin.requests) == 1


async def test_redirects_are_followed_and_end(store: FolderWeights, origin: Origin, tmp_path: Path) -> None:
    origin.redirect = "/moved"
    origin.break_after = [1_000_000]
    path, _ = await fetched(store, origin.url, tmp_path)
    assert path.read_bytes() == CONTENT
    origin.redirect = origin.url
    assert "redirects more than 5 times" in (await refused(store, origin.url, tmp_path, "1" * 64)).message


async def test_the_host_header_names_the_host_and_not_its_address(
    store: FolderWeights, origin: Origin, tmp_path: Path
) -> None:
    parts = urlsplit(origin.url)
    await fetched(store, f"http://localhost:{parts.port}/w.bin", tmp_path)
    assert origin.requests[0]["host"] == f"localhost:{parts.port}"


async def test_secrets_of_a_url_are_not_repeated(store: FolderWeights, origin: Origin, tmp_path: Path) -> None:
    origin.statuses = [403]
    uri = origin.url.replace("http://", "http://me:passw0rd@") + "?X-Amz-Signature=5ecret"
    error = await refused(store, uri, tmp_path)
    assert "answers 403" in error.message
    assert "passw0rd" not in error.message
    assert "5ecret" not in error.message


@pytest.mark.parametrize(
    ("uri", "word"),
    [
        ("https://example.com/models/", "cannot be listed"),
        ("ftp://example.com/w", "a scheme that is not known"),
        ("file://elsewhere/w", "no file of this server"),
        ("file:///no/such/file", "There is no file"),
        ("/no/such/folder/", "There is no folder"),
        ("../outside", "leaves the package"),
        ("s3://bucket", "not of the form"),
        ("s3://nobody/has/it", "NoSuchBucket"),
        ("http://", "not an http or https URL"),
    ],
)
async def test_a_source_that_cannot_be_read_is_named(store: FolderWeights, tmp_path: Path, uri: str, word: str) -> None:
    assert word in (await refused(store, uri, tmp_path)).message


async def test_a_fetch_ends_at_its_time_limit(objects: EmbeddedObjects, origin: Origin, tmp_path: Path) -> None:
    origin.break_after = [0] * 1000

    async def forever(_: float) -> None:
        await asyncio.Event().wait()

    slow = FolderWeights(tmp_path / "weights", objects, allow=PRIVATE_NETWORKS, fetch_seconds_max=0.2, pause=forever)
    assert "not fetched within 0.2 seconds" in (await refused(slow, origin.url, tmp_path)).message


async def test_no_room_is_said_before_anything_comes(
    store: FolderWeights, origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000)
    monkeypatch.setattr(store_module.shutil, "disk_usage", lambda _: usage)
    assert "1000 bytes free, and 3000000 are needed" in (await refused(store, origin.url, tmp_path)).message


FOLDER = {"config.json": b"{}", "deep/one.bin": CONTENT[:1_500_000], "deep/er/two.bin": CONTENT[1_500_000:]}
FOLDER_SHA256 = hashlib.sha256(
    "".join(sorted(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in FOLDER.items())).encode()
).hexdigest()


def has_the_folder(path: Path) -> bool:
    return {one.relative_to(path).as_posix(): one.read_bytes() for one in path.rglob("*") if one.is_file()} == FOLDER


@pytest.mark.parametrize("form", ["file://{}/", "{}/"])
async def test_a_folder_is_fetched_as_a_prefix(store: FolderWeights, tmp_path: Path, form: str) -> None:
    source = tmp_path / "source"
    for name, content in FOLDER.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    path, seen = await fetched(store, form.format(source), tmp_path, FOLDER_SHA256)
    assert has_the_folder(path)
    assert {stat.S_IMODE(one.stat().st_mode) for one in [path, *path.rglob("*")]} == {0o444, 0o555}
    assert {one[2] for one in seen} == {len(CONTENT) + 2}


async def test_objects_are_fetched_and_read_on(store: FolderWeights, objects: EmbeddedObjects, tmp_path: Path) -> None:
    await objects.create_bucket("models")
    for name, content in FOLDER.items():
        sealed = await objects.stage(content, len(CONTENT))
        await objects.reveal(sealed, ObjectName("models", f"v1/{name}"), "application/octet-stream", {})
    sealed = await objects.stage(b"", 0)
    await objects.reveal(sealed, ObjectName("models", "v1/deep/"), "application/octet-stream", {})
    path, _ = await fetched(store, "s3://models/v1/", tmp_path, FOLDER_SHA256)
    assert has_the_folder(path)

    one = ObjectName("models", "v1/deep/one.bin")
    sha256 = hashlib.sha256(FOLDER["deep/one.bin"]).hexdigest()
    partial = Partial(tmp_path / "weights" / f".partial-{sha256}", one.uri)
    with partial.writer("", 0, (await objects.head(one)).sealed.etag) as body:
        body.write(FOLDER["deep/one.bin"][:1_000_000])
    path, seen = await fetched(store, one.uri, tmp_path, sha256)
    assert path.read_bytes() == FOLDER["deep/one.bin"]
    assert seen[0] == ("weights/w.bin", 1_000_000, 1_500_000)
    assert "There is no object below" in (await refused(store, "s3://models/v2/", tmp_path)).message


async def test_a_key_that_leads_out_is_refused(store: FolderWeights, objects: EmbeddedObjects, tmp_path: Path) -> None:
    await objects.create_bucket("models")
    sealed = await objects.stage(b"evil", 10)
    await objects.reveal(sealed, ObjectName("models", "v1/../../../evil"), "application/octet-stream", {})
    assert "not safe" in (await refused(store, "s3://models/v1/", tmp_path)).message
    assert "evil" not in {name for _, _, names in os.walk(tmp_path) for name in names}
