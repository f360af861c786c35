"""Hand work out and take its outcome in: the WorkSource of this server."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from seatrial.domain import commands as c
from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.failures import Failure
from seatrial.domain.jobs import JobState
from seatrial.domain.limits import AFFINITY_WAIT_MS, HELD_BACK_LOOK_MS, STORE_RETRY_MS
from seatrial.engine.bells import Bells
from seatrial.engine.bounds import Bounds
from seatrial.engine.watch import Ended, Watch
from seatrial.ports.clock import Clock
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.job_store import JobStore, StoreUnavailable
from seatrial.ports.work_source import SessionClosed

DRAINING_ATTEMPTS_MAX = 3
TOKEN_BYTES = 16


@dataclass(frozen=True, slots=True)
class _Seat:
    """What a session works for; of its endpoint at most `running_max` jobs run at once."""

    endpoint_id: str
    running_max: int | None


class Dispatcher:
    """Implements ports.work_source.WorkSource on the job store.

    Outcomes of work already done are never given up because the store is away: finish, release and close wait
    for it. The store's own fences make every repetition harmless. A server that stops gives up in the end: the
    next one closes its sessions, and what they held runs again.
    """

    def __init__(
        self,
        store: JobStore,
        watch: Watch,
        bells: Bells,
        clock: Clock,
        server: str,
        bounds: Bounds,
        poll_ms: int | None = None,
    ) -> None:
        """`poll_ms`: how often a waiting session looks at a queue that other servers fill too; None: there are none."""
        self._poll_ms = poll_ms
        self._store = store
        self._watch = watch
        self._bells = bells
        self._clock = clock
        self._server = server
        self._limits = (bounds.deaths_max, bounds.attempts_max)
        self._owner_running_max = bounds.owner_concurrency_max
        self._seats: dict[str, _Seat] = {}
        self._idle: dict[str, frozenset[str]] = {}  # sessions that wait for work, and the affinities that they hold
        self._draining = False
        self._ceased: set[str] = set()

    async def open(self, version: EndpointVersion, kind: str) -> str:
        """Open a session for a worker of that version; its id.

        Raises:
            SessionClosed: there is no such version any more.
        """
        session = uuid.uuid4().hex
        opening = c.OpenSession(session, version.endpoint_id, version.id, kind, self._server, self._clock.now_ms())
        (outcome,) = await self._insist([opening])
        if isinstance(outcome, c.SessionGone):
            raise SessionClosed(session)
        reached(CrashPoint.LEASE_OPENED)
        self._seats[session] = _Seat(version.endpoint_id, version.settings.concurrency_max)
        return session

    async def take(self, session: str, n: int, wait_ms: int, prefer: frozenset[str] = frozenset()) -> list[c.Claim]:
        """Up to n claims, waiting up to wait_ms for the first; while draining it only waits.

        Raises:
            SessionClosed: the session is gone.
        """
        seat = self._seats.get(session)
        if seat is None:
            raise SessionClosed(session)
        self._ceased.discard(session)
        self._idle[session] = prefer
        try:
            return await self._take(session, seat, n, wait_ms, prefer)
        finally:
            self._idle.pop(session, None)

    def cease(self, session: str) -> None:
        """What waits in `take` for that session is not wanted any more."""
        self._ceased.add(session)

    async def finish(self, done: Sequence[c.Finish]) -> list[c.Finished | c.Stale]:
        """Commit decisions; durable when this returns. A stale token publishes nothing."""
        outcomes = await self._insist(done)
        reached(CrashPoint.FINISH_COMMITTED)
        answers = [one for one in outcomes if isinstance(one, c.Finished | c.Stale)]
        for finish, answer in zip(done, answers, strict=True):
            if isinstance(answer, c.Finished):
                self._watch.forget(answer.superseded)
                self._tell(finish, answer)
        return answers

    async def release(self, tokens: Sequence[str]) -> None:
        """Hand back claims that had not begun."""
        if tokens:
            await self._insist([c.Release(tuple(tokens))])
            self._bells.ring_all()

    async def close(
        self, session: str, begun: Sequence[str] = (), death: Failure | None = None, *, presumed: bool = False
    ) -> None:
        """The worker was seen gone (`presumed`: given up); its claims go back, or end after too many deaths."""
        reached(CrashPoint.CLOSE_PROCESS_GONE)
        closing = c.CloseSession(session, self._clock.now_ms(), tuple(begun), death, *self._limits, presumed)
        (outcome,) = await self._insist([closing])
        reached(CrashPoint.CLOSE_COMMITTED)
        if isinstance(outcome, c.Closed):
            self._watch.changed(outcome.ended)
        self._ceased.discard(session)
        seat = self._seats.pop(session, None)
        if seat is not None:
            self._bells.ring(seat.endpoint_id)

    def drain(self) -> None:
        """Hand nothing out any more."""
        self._draining = True

    def _tell(self, finish: c.Finish, answer: c.Finished) -> None:
        if answer.job.ended:
            self._watch.ended(_ended(finish, answer))
        else:
            self._watch.changed([answer.job])

    async def _take(self, session: str, seat: _Seat, n: int, wait_ms: int, prefer: frozenset[str]) -> list[c.Claim]:
        give_up_ms = self._clock.monotonic_ms() + wait_ms
        rung = True  # something may have come while nobody listened
        while True:
            heard = self._bells.heard(seat.endpoint_id)
            if session in self._ceased:
                return []
            elsewhere = self._held_elsewhere(session, seat) - prefer
            taken = c.Taken(()) if self._draining else await self._claim(session, seat, n, prefer, elsewhere)
            if taken.claims:
                return list(taken.claims)
            left_ms = give_up_ms - self._clock.monotonic_ms()
            if left_ms <= 0:
                return []
            look_ms = min(left_ms, self._poll_ms or left_ms)
            if taken.held_back:
                look_ms = min(look_ms, HELD_BACK_LOOK_MS)
            elif rung and elsewhere:
                look_ms = min(look_ms, AFFINITY_WAIT_MS)
            rung = await self._bells.wait(seat.endpoint_id, heard, look_ms / 1000)

    def _held_elsewhere(self, session: str, seat: _Seat) -> frozenset[str]:
        """Affinities that other sessions of the endpoint hold, which wait for work as this one does."""
        others = [held for one, held in self._idle.items() if one != session and self._is_of(one, seat.endpoint_id)]
        return frozenset().union(*others)

    def _is_of(self, session: str, endpoint_id: str) -> bool:
        seat = self._seats.get(session)
        return seat is not None and seat.endpoint_id == endpoint_id

    async def _claim(
        self, session: str, seat: _Seat, n: int, prefer: frozenset[str], elsewhere: frozenset[str]
    ) -> c.Taken:
        tokens = tuple(secrets.token_hex(TOKEN_BYTES) for _ in range(n))
        now_ms = self._clock.now_ms()
        take = c.Take(session, tokens, now_ms, prefer, elsewhere, seat.running_max, self._owner_running_max)
        (outcome,) = await self._insist([take])
        if isinstance(outcome, c.SessionGone):
            self._seats.pop(session, None)
            raise SessionClosed(session)
        if not isinstance(outcome, c.Taken):
            raise TypeError(f"a Take was answered with {outcome!r}")
        if outcome.claims:
            reached(CrashPoint.LEASE_TAKEN)
        self._watch.changed(claim.job for claim in outcome.claims)
        return outcome

    async def _insist(self, commands: Sequence[c.JobCommand]) -> list[c.JobOutcome]:
        draining_attempts = 0
        while True:
            try:
                return await self._store.apply(commands)
            except StoreUnavailable:
                draining_attempts += self._draining
                if draining_attempts == DRAINING_ATTEMPTS_MAX:
                    raise
                await self._clock.sleep_ms(STORE_RETRY_MS)


def _ended(finish: c.Finish, answer: c.Finished) -> Ended:
    """With the small parts at hand, unless an earlier finish of the same token was the one that counted."""
    if answer.repeated or answer.job.state is not JobState.SUCCEEDED:
        return Ended(answer.job)
    small = {part.name: part.sealed.inline for part in finish.parts if part.sealed.inline is not None}
    return Ended(answer.job, small)
