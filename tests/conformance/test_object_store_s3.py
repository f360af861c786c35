"""Objects on a real S3 server: the conformance suite as far as that server goes, and what is S3's own."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from seatrial.adapters.objects.s3 import S3Access, S3Objects, S3Service
from seatrial.domain.home import Home
from seatrial.domain.limits import MIB, S3_DOOR_STAGING_SECONDS_MAX
from seatrial.domain.objects import ObjectName, PutCondition
from seatrial.ports.object_store import ConditionFailed, NoSuchBucket, ObjectRefused, StagingGone
from seatrial.ports.storage import StoreUnavailable
from seatrial.testing.object_store import LARGE, LIMIT_BYTES, SMALL, ObjectStoreExamples, get, keys, put
from seatrial.testing.s3_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, S3Server, free_bucket

OWN = frozenset({"seatrial-inputs", "seatrial-results", "seatrial-trials"})
BUCKETS = ("bucket-a", "bucket-b", "bucket-bb", "bucket-c")


class SetClock:
    at_ms = 0

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_ms(self) -> int:
        return self.at_ms

    async def sleep_ms(self, duration_ms: int) -> None:
        self.at_ms += duration_ms


@pytest.fixture(scope="module")
def access(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> S3Access:
    file = tmp_path_factory.mktemp("keys") / "credentials"
    file.write_text(f"[default]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n")
    return S3Access("us-east-1", s3_server.url, file)


@pytest.fixture(scope="module")
def home(access: S3Access) -> Home:
    return Home(free_bucket("home"), "some/where/")


@pytest.fixture(scope="module")
def service(access: S3Access) -> Iterator[S3Service]:
    made = S3Service(access)
    yield made
    made.close()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def store(service: S3Service, home: Home, clock: SetClock) -> AsyncIterator[S3Objects]:
    if not await service.has_bucket(home.bucket):
        await service.call("create_bucket", Bucket=home.bucket)
    made = S3Objects(service, home, "life", clock)
    yield made
    for bucket in BUCKETS:
        try:
            for key in await keys(made, bucket):
                await made.delete(ObjectName(bucket, key))
            await made.delete_bucket(bucket)
        except NoSuchBucket:
            pass


@pytest.fixture
async def bare_store(service: S3Service, clock: SetClock) -> S3Objects:
    """With a home of its own, where nobody else has staged anything."""
    home = Home(free_bucket("bare"), "some/where/")
    await service.call("create_bucket", Bucket=home.bucket)
    return S3Objects(service, home, "life", clock)


async def staged(store: S3Objects) -> list[str]:
    """What lies in the staging folder, without its prefix."""
    return [one.rpartition("staging/")[2] for one in await keys(store, store._home.bucket) if "/staging/" in one]


class TestS3(ObjectStoreExamples):
    hard_keys = ()  # SeaweedFS keeps keys as paths: "a" beside "a/b", "//", "." are S3's, not its
    hard_delimiters = ()  # and pages them by folders

    @pytest.fixture(autouse=True)
    def _others(self, home: Home) -> None:
        self.others = OWN | {home.bucket}


async def test_own_buckets_lie_below_the_home(store: S3Objects, service: S3Service, home: Home) -> None:
    name = ObjectName("seatrial-results", "echo/1.out")
    await put(store, name, SMALL)
    answer = await service.call("get_object", Bucket=home.bucket, Key="some/where/seatrial-results/echo/1.out")
    assert answer["Body"].read() == SMALL
    assert await get(store, home.real(name)) == SMALL
    assert home.own(home.real(name)) == name
    assert "echo/1.out" in await keys(store, "seatrial-results", prefix="echo/")
    await store.delete(name)


async def test_what_a_claim_staged_stays_until_it_is_discarded(bare_store: S3Objects) -> None:
    store, bucket = bare_store, free_bucket("named")
    await store.create_bucket(bucket)
    one, two = [await store.stage(SMALL, LIMIT_BYTES, claim="token") for _ in range(2)]
    assert one.blob != two.blob  # each upload is a new key
    target = ObjectName(bucket, "k")
    await store.reveal(one, target, "a/b", {}, PutCondition(if_none_match=True))
    assert len(await staged(store)) == 2
    await store.reveal(one, target, "a/b", {}, PutCondition(if_none_match=True))  # repeated: already
    with pytest.raises(ConditionFailed):
        await store.reveal(two, target, "a/b", {}, PutCondition(if_none_match=True))
    await store.discard([one, two])
    assert await staged(store) == []
    await store.reveal(one, target, "a/b", {})  # it is there, so its staged copy is not needed
    with pytest.raises(StagingGone):
        await store.reveal(two, target, "a/b", {})
    assert await get(store, target) == SMALL


async def test_large_bytes_are_staged_in_parts(store: S3Objects, tmp_path: Path) -> None:
    await store.create_bucket("bucket-a")
    body = bytes(range(256)) * (20 * MIB // 256) + b"end"
    source = tmp_path / "large"
    source.write_bytes(body)
    sealed = await store.stage(source, 21 * MIB, claim="token")
    assert (sealed.size_bytes, sealed.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    info = await store.reveal(sealed, ObjectName("bucket-a", "k"), "image/png", {"x-amz-meta-a": "1"})
    assert (info.media_type, info.metadata, info.sealed.sha256) == ("image/png", {"x-amz-meta-a": "1"}, sealed.sha256)
    assert await get(store, info.ref) == body
    assert await get(store, info.ref, 10 * MIB, 100) == body[10 * MIB : 10 * MIB + 100]
    await store.discard([sealed])


async def test_a_copy_beyond_one_request_is_made_in_parts(store: S3Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.create_bucket("bucket-a")
    monkeypatch.setattr("seatrial.adapters.objects.s3.store.S3_COPY_BYTES_MAX", 10 * MIB)
    monkeypatch.setattr("seatrial.adapters.objects.s3.large_copy.S3_COPY_PART_BYTES", 5 * MIB)
    body = bytes(range(256)) * (11 * MIB // 256)
    sealed = await store.stage(body, 12 * MIB, claim="token")
    target = ObjectName("bucket-a", "k")
    info = await store.reveal(sealed, target, "image/png", {}, PutCondition(if_none_match=True))
    assert info.media_type == "image/png"
    assert await get(store, info.ref) == body
    other = await store.stage(body, 12 * MIB, claim="token")
    with pytest.raises(ConditionFailed):
        await store.reveal(other, target, "image/png", {}, PutCondition(if_none_match=True))
    await store.reveal(sealed, target, "image/png", {}, PutCondition(if_none_match=True))
    await store.discard([sealed, other])


async def test_a_sweep_removes_what_no_claim_needs(bare_store: S3Objects, clock: SetClock) -> None:
    store = bare_store
    living = await store.stage(SMALL, LIMIT_BYTES, claim="living")
    await store.stage(SMALL, LIMIT_BYTES, claim="dead")
    await store.stage(LARGE, LIMIT_BYTES)
    asked: list[str] = []

    async def needed(words: Sequence[str]) -> set[str]:
        asked.extend(words)
        return {"living"}

    assert await store.sweep(needed) == 1
    assert sorted(asked) == ["dead", "living"]
    clock.at_ms = time.time_ns() // 1_000_000 + 2 * S3_DOOR_STAGING_SECONDS_MAX * 1000
    assert await store.sweep(needed) == 1
    assert [f"staging/{one}" for one in await staged(store)] == [living.blob]
    await store.discard([living])


async def test_a_service_that_is_away_is_unavailable(tmp_path: Path, home: Home, access: S3Access) -> None:
    nowhere = S3Service(replace(access, endpoint="http://127.0.0.1:9"))
    store = S3Objects(nowhere, home, "life", SetClock())
    for call in (
        store.stage(LARGE, LIMIT_BYTES),
        store.head(ObjectName("bucket-a", "k")),
        store.list("bucket-a"),
        store.buckets(),
        store.check(),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    nowhere.close()


async def test_wrong_keys_are_refused_and_not_asked_again(tmp_path: Path, home: Home, access: S3Access) -> None:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = test\naws_secret_access_key = wrong\n")
    service = S3Service(replace(access, credentials=file))
    with pytest.raises(ObjectRefused):
        await S3Objects(service, home, "life", SetClock()).list(home.bucket)
    service.close()
