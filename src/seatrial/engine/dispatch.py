"""Hand work out and take its outcome in: the WorkSource of this server."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence

from seatrial.domain import commands as c
from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.failures import Failure
from seatrial.domain.jobs import JobState
from seatrial.domain.limits import STORE_RETRY_MS
from seatrial.engine.bells import Bells
from seatrial.engine.bounds import Bounds
from seatrial.engine.watch import Ended, Watch
from seatrial.ports.clock import Clock
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.job_store import JobStore, StoreUnavailable
from seatrial.ports.work_source import SessionClosed

DRAINING_ATTEMPTS_MAX = 3
TOKEN_BYTES = 16


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
        self._endpoint_of: dict[str, str] = {}
        self._draining = False

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
        self._endpoint_of[session] = version.endpoint_id
        return session

    async def take(self, session: str, n: int, wait_ms: int, prefer: frozenset[str] = frozenset()) -> list[c.Claim]:
        """Up to n claims, waiting up to wait_ms for the first; while draining it only waits.

        Raises:
            SessionClosed: the session is gone.
        """
        endpoint_id = self._endpoint_of.get(session)
        if endpoint_id is None:
            raise SessionClosed(session)
        give_up_ms = self._clock.monotonic_ms() + wait_ms
        while True:
            heard = self._bells.heard(endpoint_id)
            claims = [] if self._draining else await self._claim(session, n, prefer)
            if claims:
                return claims
            left_ms = give_up_ms - self._clock.monotonic_ms()
            if left_ms <= 0:
                return []
            await self._bells.wait(endpoint_id, heard, min(left_ms, self._poll_ms or left_ms) / 1000)

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

    async def close(self, session: str, begun: Sequence[str] = (), death: Failure | None = None) -> None:
        """The worker was seen gone; its claims go back, or end after too many deaths."""
        reached(CrashPoint.CLOSE_PROCESS_GONE)
        closing = c.CloseSession(session, self._clock.now_ms(), tuple(begun), death, *self._limits)
        (outcome,) = await self._insist([closing])
        reached(CrashPoint.CLOSE_COMMITTED)
        if isinstance(outcome, c.Closed):
            self._watch.changed(outcome.ended)
        endpoint_id = self._endpoint_of.pop(session, None)
        if endpoint_id is not None:
            self._bells.ring(endpoint_id)

    def drain(self) -> None:
        """Hand nothing out any more."""
        self._draining = True

    def _tell(self, finish: c.Finish, answer: c.Finished) -> None:
        if answer.job.ended:
            self._watch.ended(_ended(finish, answer))
        else:
            self._watch.changed([answer.job])

    async def _claim(self, session: str, n: int, prefer: frozenset[str]) -> list[c.Claim]:
        tokens = tuple(secrets.token_hex(TOKEN_BYTES) for _ in range(n))
        (outcome,) = await self._insist([c.Take(session, tokens, self._clock.now_ms(), prefer)])
        if isinstance(outcome, c.SessionGone):
            self._endpoint_of.pop(session, None)
            raise SessionClosed(session)
        if not isinstance(outcome, c.Taken):
            raise TypeError(f"a Take was answered with {outcome!r}")
        if outcome.claims:
            reached(CrashPoint.LEASE_TAKEN)
        self._watch.changed(claim.job for claim in outcome.claims)
        return list(outcome.claims)

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
