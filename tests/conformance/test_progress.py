"""Progress that handlers tell reaches who wants to hear of it, the newest only, and nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.outbox import SqlOutbox
from seatrial.domain.delivery import DeliveryFilter, Target, TargetKind
from seatrial.engine.bells import Bells
from seatrial.engine.inspect import Inspector
from seatrial.engine.progress import ProgressTeller
from seatrial.engine.streams import Streams
from seatrial.engine.watch import Watch
from seatrial.testing.job_store import World, held, success

URL = "https://quick.example/hook"


class HandClock:
    """Time stands still."""

    def now_ms(self) -> int:
        return 2_500

    def monotonic_ms(self) -> int:
        return 2_500

    async def sleep_ms(self, duration_ms: int) -> None:
        raise AssertionError("nobody waits here")


async def test_the_newest_progress_is_told_until_the_end(database: Database, world_of: Callable[..., World]) -> None:
    world, outbox, streams = world_of(database), SqlOutbox(database), Streams()
    await world.furnish()
    wanting = Target(TargetKind.WEBHOOK, URL, frozenset({"progress"}))
    claim = await held(world, notify=(wanting, Target(TargetKind.WEBHOOK, "https://other.example/")))
    teller = ProgressTeller(streams, Inspector(world.store, Watch()), outbox, Bells(), HandClock())

    for percent in (10, 20):
        streams.progress(claim.job.id, json.dumps({"percent": percent}).encode())
    streams.progress("job-that-is-not-there", b"1")
    await teller.tell()
    await teller.tell()
    (told,) = await outbox.deliveries(DeliveryFilter())
    body: dict[str, Any] = json.loads(told.body)
    assert (told.target, told.event, body["type"]) == (wanting, "progress", "job.progress")
    assert (body["data"]["progress"], body["data"]["status"]) == ({"percent": 20}, "running")

    await world.do(success(claim))
    streams.progress(claim.job.id, b'"too late"')
    await teller.tell()
    assert [one.event for one in await outbox.deliveries(DeliveryFilter())] == ["succeeded", "progress"]
