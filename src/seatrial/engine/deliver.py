"""Tell receivers of what is in the outbox: at least once, signed, with the same id each time.

A receiver that is slow takes at most DELIVERIES_PER_RECEIVER_MAX of the tasks that do this, and one that does not
answer is left alone for a while as a whole (`circuits.py`); so it delays only what is meant for itself.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from seatrial.domain.delivery import (
    EXPIRED,
    Attempt,
    Delivery,
    DeliveryFilter,
    DeliveryState,
    Target,
    TargetKind,
    is_final,
    retry_after_ms,
    signed_headers,
)
from seatrial.domain.errors import DELIVERY_NOT_FOUND, NotFound
from seatrial.domain.limits import (
    DEAD_LETTER_KEPT_DAYS,
    DELIVERIES_AT_ONCE_MAX,
    DELIVERIES_FORGOTTEN_AT_ONCE,
    DELIVERIES_PER_RECEIVER_MAX,
    DELIVERY_HOLD_MS,
    DELIVERY_KEPT_DAYS,
    DELIVERY_POLL_MS,
    RECEIVER_AWAY_HOURS_MAX,
    RECEIVERS_TRIED_AT_ONCE,
    WEBHOOK_ANSWER_CHARS_KEPT,
)
from seatrial.engine.bells import OUTBOX, Bells
from seatrial.engine.circuits import Circuits
from seatrial.engine.receivers import OwnReceivers
from seatrial.engine.webhooks import Webhooks
from seatrial.ports.clock import Clock
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.outbox import Outbox
from seatrial.ports.storage import StoreUnavailable
from seatrial.ports.urls import NotPosted, Posted, UrlPoster

log = structlog.get_logger()

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_FORGET_INTERVAL_MS = _HOUR_MS
_BUSY_STATUSES = frozenset({408, 429})  # of a receiver that is there and cannot take anything now
_AT_A_TIME = DELIVERIES_PER_RECEIVER_MAX  # so that one receiver's backlog never takes more than its share


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted. `headers` come beside the content type; unless it is `signed`, they say who sends it."""

    body: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    signed: bool = True


class TooLate(Exception):
    """Nobody is to be told of this any more."""


Words = Callable[[Delivery], Awaitable[Message]]  # may raise TooLate
Tried = Callable[[Delivery, Attempt], None]


@dataclass(frozen=True, slots=True)
class Sender:
    """Who signs: the server's secret (`whsec_…`) and the name that it gives."""

    secret: str
    user_agent: str


class Deliverer:
    """Takes what is due, posts it, keeps what came of it."""

    def __init__(
        self,
        outbox: Outbox,
        poster: UrlPoster,
        sender: Sender,
        own: OwnReceivers,
        bells: Bells,
        clock: Clock,
        words: Mapping[TargetKind, Words] | None = None,
        webhooks: Webhooks | None = None,
    ) -> None:
        """`webhooks`: those with secrets of their own.

        `words`: who is told in words of their own, which are put together when they are told.
        """
        self._words = words or {}
        self._webhooks = webhooks
        self._outbox = outbox
        self._own = own
        self._poster = poster
        self._sender = sender
        self._bells = bells
        self._clock = clock
        self._chance = random.SystemRandom()
        self._at_work: set[asyncio.Task[None]] = set()
        self._per_receiver: Counter[str] = Counter()
        self._circuits = Circuits()
        self._tried: Tried = lambda delivery, attempt: None

    def on_tried(self, tried: Tried) -> None:
        """Call this with every try to deliver something."""
        self._tried = tried

    # ------------------------------------------------------------ looks

    async def deliveries(self, which: DeliveryFilter) -> list[Delivery]:
        """A page, newest first."""
        return list(await self._outbox.deliveries(which))

    async def delivery(self, delivery_id: str) -> Delivery:
        """One with its attempts. Raises NotFound."""
        found = await self._outbox.delivery(delivery_id)
        if found is None:
            raise _unknown(delivery_id)
        return found

    async def post(self, told: Delivery) -> None:
        """Tell of something beside the end of a job; durable when this returns."""
        await self._outbox.post([told])
        self._bells.ring(OUTBOX)

    async def replay(self, delivery_id: str) -> Delivery:
        """Try it again from the start, under the same id. Raises NotFound."""
        again = await self._outbox.replay(delivery_id, self._clock.now_ms())
        if again is None:
            raise _unknown(delivery_id)
        self._circuits.answered(again.target.receiver)  # or so it is hoped
        self._bells.ring(OUTBOX)
        return again

    # ------------------------------------------------------------ rounds

    async def run(self) -> None:
        """For ever, until cancelled."""
        forget_due_ms = self._clock.monotonic_ms()
        while True:
            heard = self._bells.heard(OUTBOX)
            try:
                taken = await self.begin()
                if self._clock.monotonic_ms() >= forget_due_ms:
                    forget_due_ms += _FORGET_INTERVAL_MS
                    await self._forget()
            except StoreUnavailable as error:
                taken = 0
                log.warning("deliverer.store_unavailable", error=str(error))
            except Exception:  # the named edge: a defect in one round must not end notifications for good
                taken = 0
                log.exception("deliverer.defect")
            if not taken:
                await self._bells.wait(OUTBOX, heard, DELIVERY_POLL_MS / 1000)

    async def begin(self) -> int:
        """Take what is due, as far as there is room, and begin with it; how many."""
        room = DELIVERIES_AT_ONCE_MAX - len(self._at_work)
        if room <= 0:
            return 0
        now_ms = self._clock.now_ms()
        most = min(room, _AT_A_TIME)
        taken = await self._outbox.take(now_ms, now_ms + DELIVERY_HOLD_MS, most, self._busy(), self._own.names)
        for receiver in self._to_try()[: room - len(taken)]:
            taken += await self._outbox.take(now_ms, now_ms + DELIVERY_HOLD_MS, 1, only=receiver)
        for delivery in taken:
            self._per_receiver[delivery.target.receiver] += 1
            task = asyncio.create_task(self._deliver(delivery))
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)
        return len(taken)

    async def settled(self) -> None:
        """Wait for what has begun."""
        while self._at_work:
            await asyncio.wait(self._at_work)

    async def close(self, grace_seconds: float) -> None:
        """Wait a little for what is under way; the rest is tried again by the next server."""
        if self._at_work:
            await asyncio.wait(self._at_work, timeout=grace_seconds)
        for task in list(self._at_work):
            task.cancel()

    def _busy(self) -> frozenset[str]:
        full = {receiver for receiver, count in self._per_receiver.items() if count >= DELIVERIES_PER_RECEIVER_MAX}
        return self._circuits.broken | full

    def _to_try(self) -> list[str]:
        """Receivers that did not answer and may be asked again, each with one delivery."""
        due = [one for one in self._circuits.to_try(self._clock.monotonic_ms()) if not self._per_receiver[one]]
        return due[:RECEIVERS_TRIED_AT_ONCE]

    async def _forget(self) -> None:
        self._circuits.forget(self._clock.monotonic_ms())
        now_ms, most = self._clock.now_ms(), DELIVERIES_FORGOTTEN_AT_ONCE
        delivered_ms, failed_ms = now_ms - DELIVERY_KEPT_DAYS * _DAY_MS, now_ms - DEAD_LETTER_KEPT_DAYS * _DAY_MS
        while await self._outbox.forget(delivered_ms, failed_ms, most) == most:
            pass

    # ------------------------------------------------------------ one delivery

    async def _deliver(self, delivery: Delivery) -> None:
        receiver = delivery.target.receiver
        try:
            attempt, asked_seconds = await self._attempt(delivery)
            reached(CrashPoint.NOTIFY_TOLD)
            await self._record(delivery, attempt, asked_seconds)
            reached(CrashPoint.NOTIFY_RECORDED)
        except StoreUnavailable as error:  # it was told, and will be told again
            log.warning("delivery.not_recorded", id=delivery.id, error=str(error))
        except Exception:  # the named edge: its hold runs out, and it is tried again
            log.exception("delivery.defect", id=delivery.id)
        finally:
            self._per_receiver[receiver] -= 1
            if not self._per_receiver[receiver]:
                del self._per_receiver[receiver]
            self._bells.ring(OUTBOX)

    async def _attempt(self, delivery: Delivery) -> tuple[Attempt, int | None]:
        own_words = self._words.get(delivery.target.kind)
        try:
            message = Message(delivery.body.encode()) if own_words is None else await own_words(delivery)
        except TooLate:
            return Attempt(0, self._clock.now_ms(), 0, error=EXPIRED), None
        at_ms, began_ms = self._clock.now_ms(), self._clock.monotonic_ms()
        poster, secrets = self._way_to(delivery.target)
        if not secrets:
            return Attempt(0, at_ms, 0, error=EXPIRED), None
        headers = {"webhook-id": delivery.id}
        if message.signed:
            headers = signed_headers(secrets, delivery.id, at_ms // 1000, message.body)
        headers |= {"Content-Type": message.media_type, "User-Agent": self._sender.user_agent, **message.headers}
        posted: Posted | None = None
        error: str | None = None
        try:
            posted = await poster.post(delivery.target.address, message.body, headers)
        except NotPosted as trouble:
            error = str(trouble)[:WEBHOOK_ANSWER_CHARS_KEPT]
        took_ms = self._clock.monotonic_ms() - began_ms
        if posted is None:
            return Attempt(0, at_ms, took_ms, error=error), None
        return Attempt(0, at_ms, took_ms, posted.status, posted.answer), posted.retry_after_seconds

    def _way_to(self, target: Target) -> tuple[UrlPoster, Sequence[str]]:
        """Who posts, and with which secrets it is signed; none: nobody is there any more."""
        if target.webhook is not None and self._webhooks is not None:
            return self._poster, self._webhooks.secrets_of(target.webhook)
        secret = self._own.secret_of(target) if target.kind is TargetKind.TRIAL else None
        return (self._poster, (self._sender.secret,)) if secret is None else (self._own.poster, (secret,))

    async def _record(self, delivery: Delivery, attempt: Attempt, asked_seconds: int | None) -> None:
        tries = delivery.tries + 1
        await self._judge(delivery.target.receiver, attempt)
        if attempt.error != EXPIRED:
            self._tried(delivery, attempt)
        if attempt.succeeded:
            await self._outbox.record(delivery.id, attempt, DeliveryState.DELIVERED, tries, None)
            return
        log.info("delivery.failed", id=delivery.id, status=attempt.status, error=attempt.error, tries=tries)
        if is_final(tries, attempt):
            await self._outbox.record(delivery.id, attempt, DeliveryState.FAILED, tries, None)
            return
        wait_ms = retry_after_ms(tries, self._chance.random(), asked_seconds)
        next_at_ms = self._clock.now_ms() + wait_ms
        await self._outbox.record(delivery.id, attempt, DeliveryState.PENDING, tries, next_at_ms)

    async def _judge(self, receiver: str, attempt: Attempt) -> None:
        """Whether the receiver is there at all; what it says of one delivery is that delivery's own matter."""
        if attempt.error == EXPIRED:
            return
        if attempt.status is not None and attempt.status < 500 and attempt.status not in _BUSY_STATUSES:
            self._circuits.answered(receiver)
            return
        away_ms = self._circuits.failed(receiver, self._clock.monotonic_ms())
        if away_ms >= RECEIVER_AWAY_HOURS_MAX * _HOUR_MS:
            now_ms = self._clock.now_ms()
            given_up = await self._outbox.give_up(receiver, now_ms - RECEIVER_AWAY_HOURS_MAX * _HOUR_MS, now_ms)
            log.warning("delivery.receiver_away", receiver=receiver, hours=away_ms // _HOUR_MS, given_up=given_up)


def _unknown(delivery_id: str) -> NotFound:
    return NotFound(DELIVERY_NOT_FOUND, f"There is no delivery {delivery_id[:200]!r}.")
