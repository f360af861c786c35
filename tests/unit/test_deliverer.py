"""The outbox emptied by a controlled clock: tries over hours, receivers that are dead or hang, and dead letters."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.outbox import SqlOutbox
from seatrial.adapters.sql.outbox_rows import post_deliveries
from seatrial.adapters.urls.guarded import GuardedUrls
from seatrial.adapters.urls.posting import GuardedPosts
from seatrial.domain.addresses import LOOPBACK_NETWORKS
from seatrial.domain.delivery import Delivery, DeliveryFilter, DeliveryState, Target, TargetKind
from seatrial.domain.limits import DELIVERY_ATTEMPTS_MAX
from seatrial.engine.bells import Bells
from seatrial.engine.deliver import Deliverer, Sender
from seatrial.engine.receivers import OwnReceivers
from seatrial.ports.urls import NotPosted, Posted, UrlPoster

HOUR_MS = 3_600_000
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()


class HandClock:
    """Time goes on when the test says so."""

    def __init__(self) -> None:
        self.at_ms = 1_000_000

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_ms(self) -> int:
        return self.at_ms

    async def sleep_ms(self, duration_ms: int) -> None:
        raise AssertionError("nobody waits here")


class Scripted:
    """A poster whose receivers answer as the test says: a status, or nothing."""

    def __init__(self) -> None:
        self.answers: dict[str, int | None] = {}
        self.got: list[tuple[str, str]] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        self.got.append((url, headers["webhook-id"]))
        status = self.answers.get(url, 200)
        if status is None:
            raise NotPosted("nobody is there")
        return Posted(status, "word")


def told(number: int, url: str) -> Delivery:
    target = Target(TargetKind.WEBHOOK, url)
    state, at_ms = DeliveryState.PENDING, 1_000_000
    return Delivery(f"msg_{number}", f"job-{number}", "e", target, "succeeded", "{}", state, 0, at_ms, at_ms)


class World:
    def __init__(self, database: Database, poster: UrlPoster) -> None:
        self.database = database
        self.clock = HandClock()
        self.outbox = SqlOutbox(database)
        own, sender = OwnReceivers(self.outbox, poster), Sender(SECRET, "seatrial")
        self.deliverer = Deliverer(self.outbox, poster, sender, own, Bells(), self.clock)

    async def put(self, *deliveries: Delivery) -> None:
        await self.database.write(lambda connection: post_deliveries(connection, deliveries))

    async def look(self) -> int:
        """One look of the deliverer, and everything that it began."""
        begun = await self.deliverer.begin()
        await self.deliverer.settled()
        return begun

    async def states(self, *ids: str) -> list[DeliveryState]:
        return [(await self.deliverer.delivery(one)).state for one in ids]


@pytest.fixture
def poster() -> Scripted:
    return Scripted()


@asynccontextmanager
async def opened(folder: Path, poster: UrlPoster) -> AsyncIterator[World]:
    database = await Database.open(folder / "seatrial.db")
    try:
        yield World(database, poster)
    finally:
        await database.close()


async def test_a_dead_receiver_is_tried_over_most_of_a_day_and_then_it_is_a_dead_letter(
    tmp_path: Path, poster: Scripted
) -> None:
    poster.answers["https://dead.example/"] = None
    async with opened(tmp_path, poster) as world:
        await world.put(told(1, "https://dead.example/"))
        while (due_ms := await world.outbox.next_due_ms()) is not None:
            world.clock.at_ms = max(world.clock.at_ms + 61_000, due_ms)  # past the pause of its receiver too
            assert await world.look() == 1
        (dead,) = await world.deliverer.deliveries(DeliveryFilter(state=DeliveryState.FAILED))
        whole = await world.deliverer.delivery(dead.id)
        assert len(whole.attempts) == DELIVERY_ATTEMPTS_MAX
        assert {one.error for one in whole.attempts} == {"nobody is there"}
        assert 15 * HOUR_MS < whole.attempts[-1].at_ms - whole.attempts[0].at_ms < 28 * HOUR_MS
        del poster.answers["https://dead.example/"]
        await world.deliverer.replay(dead.id)
        await world.look()
        assert await world.states(dead.id) == [DeliveryState.DELIVERED]
        assert {webhook_id for _, webhook_id in poster.got} == {dead.id}


async def test_a_receiver_that_does_not_answer_is_asked_less_and_less_and_one_thing_at_a_time(
    tmp_path: Path, poster: Scripted
) -> None:
    poster.answers["https://dead.example/"] = 503
    async with opened(tmp_path, poster) as world:
        await world.put(*(told(number, "https://dead.example/") for number in range(300)))
        asked = []
        for second in range(300):
            asked += [second] * await world.look()
            world.clock.at_ms += 1_000
        assert asked[:4] == [0, 0, 0, 0]  # a few at once, as of any; one at a time from then on
        assert len(asked) == len(set(asked[4:])) + 4 < 16
        poster.answers.clear()
        await world.put(told(1_000, "https://well.example/"))
        assert await world.look() >= 1
        assert await world.states("msg_1000") == [DeliveryState.DELIVERED]
        world.clock.at_ms += 61_000
        while await world.look():
            pass
        assert len(await world.deliverer.deliveries(DeliveryFilter(state=DeliveryState.DELIVERED, limit=1_000))) > 280


async def test_what_a_receiver_says_of_one_delivery_is_not_held_against_the_others(
    tmp_path: Path, poster: Scripted
) -> None:
    poster.answers["https://picky.example/bad"] = 404
    async with opened(tmp_path, poster) as world:
        await world.put(told(1, "https://picky.example/bad"), told(2, "https://picky.example/good"))
        await world.look()
        await world.put(told(3, "https://picky.example/good"))
        await world.look()
        assert await world.states("msg_1", "msg_2", "msg_3") == ["pending", "delivered", "delivered"]


async def test_what_waits_a_day_for_a_receiver_that_is_away_is_given_up(tmp_path: Path, poster: Scripted) -> None:
    poster.answers["https://dead.example/"] = None
    async with opened(tmp_path, poster) as world:
        await world.put(*(told(number, "https://dead.example/") for number in range(20)))
        for _ in range(26 * 6):
            await world.look()
            world.clock.at_ms += 600_001
            if await world.outbox.next_due_ms() is None:
                break
        assert set(await world.states(*(f"msg_{number}" for number in range(20)))) == {DeliveryState.FAILED}


async def test_one_that_hangs_delays_no_other(tmp_path: Path) -> None:
    """Real sockets: hundreds of deliveries for a receiver that takes connections and never answers."""
    heard: list[bytes] = []
    held = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        await reader.readexactly(2)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    async with (
        await asyncio.start_server(hang, "127.0.0.1", 0) as hanging,
        await asyncio.start_server(answer, "127.0.0.1", 0) as well,
        GuardedUrls(allow=LOOPBACK_NETWORKS) as urls,
        opened(tmp_path, GuardedPosts(urls)) as world,
    ):
        ports = [one.sockets[0].getsockname()[1] for one in (hanging, well)]
        await world.put(*(told(number, f"http://127.0.0.1:{ports[0]}/") for number in range(400)))
        await world.put(*(told(1_000 + number, f"http://127.0.0.1:{ports[1]}/") for number in range(40)))
        async with asyncio.timeout(30):
            while len(heard) < 40:
                await world.deliverer.begin()
                await asyncio.sleep(0)
        await world.deliverer.close(0)
        held.set()
        assert await world.deliverer.deliveries(DeliveryFilter(state=DeliveryState.FAILED)) == []
