"""Leases: a server beats, and judges others only after its own beats have come in time for as long as a lease."""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.domain.commands import Beat, Beaten, Closed, CloseLapsed, JobCommand, JobOutcome
from seatrial.engine.bells import Bells
from seatrial.engine.leases import BEAT_MS, LEASE_MS, Leases
from seatrial.engine.watch import Watch


class Store:
    """Answers each beat with the next of these times, and keeps what was asked."""

    def __init__(self, *since_ms: int | None) -> None:
        self.since_ms = list(since_ms)
        self.judged = 0

    async def apply(self, commands: Sequence[JobCommand]) -> list[JobOutcome]:
        (command,) = commands
        if command == Beat("me", "home"):
            return [Beaten(self.since_ms.pop(0))]
        assert isinstance(command, CloseLapsed)
        assert (command.server, command.lease_ms) == ("me", LEASE_MS)
        self.judged += 1
        return [Closed((), ())]


class Clock:
    def now_ms(self) -> int:
        return 1


async def judged_after(*since_ms: int | None) -> list[int]:
    """How often it has judged after each beat."""
    store = Store(*since_ms)
    leases = Leases(store, Watch(), Bells(), Clock(), "me", "home")
    found = []
    for _ in since_ms:
        await leases.beat()
        found.append(store.judged)
    return found


async def test_a_server_judges_after_a_lease_of_its_own() -> None:
    beats = LEASE_MS // BEAT_MS
    assert await judged_after(None, *[BEAT_MS] * (beats + 1)) == [0] * beats + [1, 2]


async def test_a_server_that_came_late_judges_nobody_for_a_lease() -> None:
    """Its host was suspended, or the store was away: then the others had no chance to beat either."""
    beats = LEASE_MS // BEAT_MS
    in_time = [BEAT_MS] * beats
    assert await judged_after(None, *in_time, 3_600_000, *in_time) == [0] * beats + [1] + [1] * beats + [2]


async def test_a_server_whose_lease_was_taken_begins_anew() -> None:
    in_time = [BEAT_MS] * (LEASE_MS // BEAT_MS)
    assert (await judged_after(None, *in_time, None, *in_time[1:]))[-1] == 1
