"""Publishers that sleep, die, or cannot tell what was committed, before a real S3 server: what is shown is right."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from seatrial.adapters.objects.s3 import S3Access, S3Objects, S3Service
from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.job_store import SqlJobStore
from seatrial.adapters.sql.object_names import create_bucket
from seatrial.adapters.sql.outbox import SqlOutbox
from seatrial.adapters.sql.registry import SqlRegistry
from seatrial.domain.commands import Claim, CloseSession, Finished, JobCommand, JobOutcome, Published, StagedPart, Stale
from seatrial.domain.delivery import DeliveryFilter
from seatrial.domain.home import Home
from seatrial.domain.jobs import Job, JobState, OutputPlan
from seatrial.domain.limits import MIB
from seatrial.domain.objects import ObjectName
from seatrial.engine.publish import Publisher
from seatrial.engine.watch import Watch
from seatrial.ports.storage import StoreUnavailable
from seatrial.testing.job_store import World, as_a, held, open_session, success, take
from seatrial.testing.object_store import get, keys
from seatrial.testing.outbox import told
from seatrial.testing.s3_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, S3Server, free_bucket

PATIENCE_SECONDS = 60


class Clock:
    """The machine's, moved as the test says."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        await asyncio.sleep(min(duration_ms, 50) / 1000)


class Sleepy:
    """An object store whose caller falls asleep before each copy to a name, until it is woken."""

    def __init__(self, objects: S3Objects) -> None:
        self._objects = objects
        self.asleep, self.woken = asyncio.Event(), asyncio.Event()
        self.copies = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    async def reveal(self, *given: Any) -> Any:
        self.asleep.set()
        await self.woken.wait()
        self.copies += 1
        return await self._objects.reveal(*given)


class Forgetful:
    """A job store that commits, and then cannot say so: the connection was lost inside the COMMIT."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.lost: list[type] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def apply(self, commands: Sequence[JobCommand]) -> list[JobOutcome]:
        outcomes = await self._store.apply(commands)
        if type(commands[0]) not in self.lost:
            self.lost.append(type(commands[0]))
            raise StoreUnavailable("the connection was lost")
        return list(outcomes)


class Stage:
    """A job store, a bucket of the S3 server, and publishers of both."""

    def __init__(self, world: World, database: Database, objects: S3Objects, bucket: str) -> None:
        self.world, self.objects, self.bucket = world, objects, bucket
        self.outbox = SqlOutbox(database)
        self.clock = Clock()
        self.publishers: list[Publisher] = []

    def publisher(self, objects: Any = None, store: Any = None) -> Publisher:
        async def sweep() -> int:
            return 0

        made = Publisher(store or self.world.store, objects or self.objects, Watch(), self.clock, sweep)
        self.publishers.append(made)
        return made

    async def decided(self, body: bytes, key: str | None = None, side: bytes | None = None) -> Job:
        """A job whose success is committed and not visible; `key` is a name that its client chose."""
        more: dict[str, Any] = {"name_chosen": key is not None, "notify": told("https://example.com/")}
        if key is not None:
            more["output"] = OutputPlan(ObjectName(self.bucket, key), ObjectName(self.bucket, f"{key}-error"))
        else:
            unique = free_bucket("o")
            more["output"] = OutputPlan(ObjectName(self.bucket, unique), ObjectName(self.bucket, f"{unique}-error"))
        claim = await held(self.world, **more)
        parts = [await self.part(claim, "result", claim.job.output.result, body)]
        if side is not None:
            name = ObjectName(self.bucket, claim.job.output.result.key + "-side")
            parts.insert(0, await self.part(claim, "side", name, side))
        finish = success(claim, *parts, now_ms=self.clock.now_ms())
        return as_a(Finished, await self.world.do(finish)).job

    async def part(self, claim: Claim, name: str, target: ObjectName, body: bytes) -> StagedPart:
        return StagedPart(name, target, await self.objects.stage(body, MIB, claim.token), "text/plain")

    async def ended(self, job: Job) -> Job:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                now = await self.world.store.job(job.id)
                assert now is not None
                if now.ended:
                    return now
                await asyncio.sleep(0.01)

    async def shown(self) -> dict[str, bytes]:
        return {
            key: await get(self.objects, ObjectName(self.bucket, key)) for key in await keys(self.objects, self.bucket)
        }

    async def staged(self, word: str) -> list[str]:
        return [key for key in await keys(self.objects, self.objects._home.bucket) if f"/{word}/" in key]

    async def told(self, job: Job) -> int:
        return len(await self.outbox.deliveries(DeliveryFilter(job_id=job.id)))


@pytest.fixture(scope="module")
def service(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Service]:
    file = tmp_path_factory.mktemp("keys") / "credentials"
    file.write_text(f"[default]\naws_access_key_id={ACCESS_KEY_ID}\naws_secret_access_key={SECRET_ACCESS_KEY}\n")
    made = S3Service(S3Access("us-east-1", s3_server.url, file))
    yield made
    made.close()


@pytest.fixture(scope="module")
def home(service: S3Service) -> Home:
    home = Home(free_bucket("home"))
    asyncio.run(service.call("create_bucket", Bucket=home.bucket))
    return home


@pytest.fixture
async def stage(service: S3Service, home: Home, tmp_path: Path) -> AsyncIterator[Stage]:
    database = await Database.open(tmp_path / "seatrial.sqlite")
    objects = S3Objects(service, home, "life", Clock())

    async def make(bucket: str) -> None:
        await database.write(lambda connection: create_bucket(connection, bucket, 1))

    async def read(_: ObjectName) -> bytes | None:
        return None

    world = World(SqlJobStore(database, 60_000), SqlRegistry(database), make, read)
    await world.furnish()
    made = Stage(world, database, objects, free_bucket("out"))
    await objects.create_bucket(made.bucket)
    yield made
    for publisher in made.publishers:
        await publisher.close(0)
    await database.close()


async def until_asleep(sleepy: Sleepy) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await sleepy.asleep.wait()


async def until_copied(sleepy: Sleepy, publisher: Publisher) -> None:
    sleepy.woken.set()
    await publisher.close(PATIENCE_SECONDS)
    assert sleepy.copies


@pytest.mark.parametrize("before", [None, b"held before"])
async def test_a_publisher_that_slept_writes_over_nothing(stage: Stage, before: bytes | None) -> None:
    if before is not None:
        earlier = await stage.decided(before, "plan.json")
        stage.publisher().begin(earlier)
        await stage.ended(earlier)
    job = await stage.decided(b"first", "plan.json")
    sleepy = Sleepy(stage.objects)
    asleep = stage.publisher(sleepy)
    asleep.begin(job)
    await until_asleep(sleepy)
    await stage.publisher().resume()  # another server takes over
    assert (await stage.ended(job)).state is JobState.SUCCEEDED
    later = await stage.decided(b"second", "plan.json")
    stage.publisher().begin(later)
    await stage.ended(later)
    await until_copied(sleepy, asleep)
    assert await stage.shown() == {"plan.json": b"second"}
    assert (await stage.ended(job)).superseded_by == later.id
    assert await stage.told(job) == 1


async def test_a_publisher_that_slept_through_the_giving_up_shows_nothing(stage: Stage) -> None:
    job = await stage.decided(b"too late")
    sleepy = Sleepy(stage.objects)
    asleep = stage.publisher(sleepy)
    asleep.begin(job)
    await until_asleep(sleepy)
    await stage.objects.delete_bucket(stage.bucket)
    stage.clock.ahead_ms = 61_000
    stage.publisher().begin(job)
    ended = await stage.ended(job)
    assert ended.failure is not None
    assert (ended.state, ended.failure["error_type"]) == (JobState.FAILED, "publish_failed")
    await stage.objects.create_bucket(stage.bucket)  # too late: the outcome is told
    await until_copied(sleepy, asleep)
    assert await stage.shown() == {}
    assert await stage.told(job) == 1


async def test_a_commit_that_nobody_heard_of_is_one_end_and_one_notification(stage: Stage) -> None:
    store = Forgetful(stage.world.store)
    job = await stage.decided(b"{}")
    stage.publisher(store=store).begin(job)
    assert (await stage.ended(job)).state is JobState.SUCCEEDED
    await stage.publishers[-1].close(PATIENCE_SECONDS)
    assert store.lost == [Published]
    assert await stage.told(job) == 1
    assert list((await stage.shown()).values()) == [b"{}"]


async def test_a_publisher_that_died_between_the_parts_is_followed_by_another(stage: Stage) -> None:
    job = await stage.decided(b"primary", side=b"secondary")
    sleepy = Sleepy(stage.objects)
    first = stage.publisher(sleepy)
    first.begin(job)
    await until_asleep(sleepy)
    sleepy.asleep.clear()
    sleepy.woken.set()
    sleepy.woken.clear()
    await until_asleep(sleepy)  # the secondary part is there, and it is about to copy the primary
    assert list((await stage.shown()).values()) == [b"secondary"]
    await first.close(0)
    await stage.publisher().resume()
    ended = await stage.ended(job)
    assert [part.name for part in ended.parts] == ["side", "result"]
    assert sorted((await stage.shown()).values()) == [b"primary", b"secondary"]


async def test_a_host_that_slept_past_the_deadline_still_publishes(stage: Stage) -> None:
    job = await stage.decided(b"late")
    stage.clock.ahead_ms = 3_600_000
    await stage.publisher().resume()
    assert (await stage.ended(job)).state is JobState.SUCCEEDED
    assert list((await stage.shown()).values()) == [b"late"]


async def test_staging_is_kept_until_the_end_and_gone_after_it(stage: Stage) -> None:
    job = await stage.decided(b"bytes")
    (publication,) = await stage.world.store.publications(10**15, 10)
    key = publication.parts[0].sealed.blob
    assert key is not None
    claim = await held(stage.world)
    await stage.objects.stage(b"of a running attempt", MIB, claim.token)
    await stage.objects.stage(b"of nobody", MIB, "0" * 32)
    await stage.objects.sweep(stage.world.store.still_needed)
    assert [len(await stage.staged(word)) for word in (claim.token, "0" * 32)] == [1, 0]
    stage.publisher().begin(job)
    await stage.ended(job)
    await stage.publishers[-1].close(PATIENCE_SECONDS)
    assert not [one for one in await keys(stage.objects, stage.objects._home.bucket) if one.endswith(key)]


async def test_two_publishers_at_once_are_one(stage: Stage) -> None:
    jobs = [await stage.decided(str(n).encode()) for n in range(4)]
    publishers = [stage.publisher() for _ in range(3)]
    await asyncio.gather(*(publisher.resume() for publisher in publishers))
    ended = [await stage.ended(job) for job in jobs]
    for publisher in publishers:
        await publisher.close(PATIENCE_SECONDS)
    assert {job.state for job in ended} == {JobState.SUCCEEDED}
    assert sorted((await stage.shown()).values()) == [b"0", b"1", b"2", b"3"]
    assert [await stage.told(job) for job in jobs] == [1] * 4


async def test_a_completion_that_comes_after_its_session_publishes_nothing(stage: Stage) -> None:
    zombie = await held(stage.world)
    late = await stage.part(zombie, "result", zombie.job.output.result, b"of the zombie")
    await stage.world.do(CloseSession(f"session-of-{zombie.job.id}", 2_500))
    (claim,) = await take(stage.world, await open_session(stage.world, "another"), 1)
    name = ObjectName(stage.bucket, "out")
    good = await stage.part(claim, "result", name, b"of the living")
    job = as_a(Finished, await stage.world.do(success(claim, good, now_ms=stage.clock.now_ms()))).job
    for body in (b"late", b"later", b"latest"):
        again = await stage.part(zombie, "result", name, body)
        assert await stage.world.do(success(zombie, again)) == Stale()
    stage.publisher().begin(job)
    ended = await stage.ended(job)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 1)
    assert await stage.world.do(success(zombie, late)) == Stale()
    assert await stage.shown() == {"out": b"of the living"}
    assert len(await stage.staged(zombie.token)) == 4
    await stage.objects.sweep(stage.world.store.still_needed)
    assert await stage.staged(zombie.token) == []


async def test_what_a_lost_future_staged_matches_nothing(stage: Stage, service: S3Service, home: Home) -> None:
    restored = S3Objects(service, home, "restored-life", Clock())
    job = await stage.decided(b"before the backup")
    token = (await stage.world.store.publications(10**15, 10))[0].parts[0].sealed.blob
    again = await restored.stage(b"another", MIB, str(token).split("/")[2])
    assert str(again.blob).split("/")[1:3] != str(token).split("/")[1:3]
    stage.publisher(restored).begin(job)  # what was decided before the backup is published all the same
    await stage.ended(job)
    assert list((await stage.shown()).values()) == [b"before the backup"]
    await restored.discard([again])


class Leaving:
    """An object store that makes the first copy, loses the answer, and is away until it is told to come back."""

    def __init__(self, objects: S3Objects) -> None:
        self._objects = objects
        self.away = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._objects, name)

        async def call(*given: Any, **more: Any) -> Any:
            if self.away:
                raise StoreUnavailable("the object store is away")
            answer = await method(*given, **more)
            if name == "reveal":
                self.away = True
                raise StoreUnavailable("the answer was lost")
            return answer

        return call

    def back(self) -> S3Objects:
        return self._objects


@pytest.mark.parametrize("taken_since", [False, True])
async def test_what_showed_when_the_store_went_away_for_good_is_withdrawn_when_it_is_back(
    stage: Stage, taken_since: bool
) -> None:
    job = await stage.decided(b"half told", "plan.json")
    leaving = Leaving(stage.objects)
    stage.clock.ahead_ms = 61_000
    stage.publisher(leaving).begin(job)
    ended = await stage.ended(job)
    assert ended.failure is not None
    assert (ended.state, ended.failure["error_type"]) == (JobState.FAILED, "publish_failed")
    assert "away" in ended.failure["details"]["not_published"]
    assert await stage.shown() == {"plan.json": b"half told"}, "nobody could take it back yet"

    still_away = stage.publisher(leaving)
    await still_away.withdraw_left()
    assert len(await stage.world.store.withdrawals(10)) == 1
    if taken_since:
        later = await stage.decided(b"half told", "plan.json")  # the same name, and even the same bytes
        stage.publisher().begin(later)
        assert (await stage.ended(later)).state is JobState.SUCCEEDED
    await stage.publisher(leaving.back()).withdraw_left()
    assert await stage.shown() == ({"plan.json": b"half told"} if taken_since else {})
    assert await stage.world.store.withdrawals(10) == []
    assert await stage.told(job) == 1
