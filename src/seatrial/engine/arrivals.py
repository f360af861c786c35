"""What objects set off that come and go: each noted event becomes an invocation, a message, a job or a job's input.

An event is noted in the transaction that changes an object's name, and settled here once what it sets off is durable.
A crash in between has it done again: jobs have the event's id as their idempotency key, so there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from seatrial.domain.errors import Busy, SeatrialError
from seatrial.domain.limits import (
    OBJECT_EVENT_KEPT_DAYS,
    OBJECT_EVENT_RETRY_MS_FIRST,
    OBJECT_EVENT_RETRY_MS_MAX,
    OBJECT_EVENT_SECONDS_MAX,
    OBJECT_EVENTS_AT_ONCE_MAX,
    OBJECT_EVENTS_POLL_MS,
)
from seatrial.domain.triggers import EventState, ObjectEvent, Trigger, TriggerKind
from seatrial.engine.bells import Bells
from seatrial.ports.clock import Clock
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.storage import StoreUnavailable
from seatrial.ports.triggers import TriggerStore

log = structlog.get_logger()

ARRIVALS = "arrivals"  # the bell that says that an event was noted
_FORGET_INTERVAL_MS = 3_600_000
_FORGET_BATCH = 500

Act = Callable[[Trigger, ObjectEvent], Awaitable[str]]  # what came of it, for people; durable when it returns


class Arrivals:
    """Takes events in their order and has each done by the one who knows its kind of trigger."""

    def __init__(self, store: TriggerStore, acts: Mapping[TriggerKind, Act], bells: Bells, clock: Clock) -> None:
        self._store = store
        self._acts = acts
        self._bells = bells
        self._clock = clock

    async def run(self) -> None:
        """For ever, until cancelled."""
        forget_due_ms = self._clock.monotonic_ms()
        while True:
            heard = self._bells.heard(ARRIVALS)
            done = 0
            try:
                done = await self.settle_due()
                if self._clock.monotonic_ms() >= forget_due_ms:
                    forget_due_ms += _FORGET_INTERVAL_MS
                    await self._forget()
            except StoreUnavailable as error:
                log.warning("arrivals.store_unavailable", error=str(error))
            except Exception:  # the named edge: a defect in one round must not end triggers for good
                log.exception("arrivals.defect")
            if not done:
                await self._bells.wait(ARRIVALS, heard, OBJECT_EVENTS_POLL_MS / 1000)

    async def settle_due(self) -> int:
        """One batch of what is due, side by side; how many."""
        due = await self._store.waiting(self._clock.now_ms(), OBJECT_EVENTS_AT_ONCE_MAX)
        await asyncio.gather(*(self._settle(event) for event in due))
        return len(due)

    async def _settle(self, event: ObjectEvent) -> None:
        trigger = event.trigger
        if trigger is None:
            await self._over(event, EventState.FAILED, "its trigger was removed before it was acted upon")
            return
        try:
            outcome = await self._acts[trigger.kind](trigger, event)
        except Busy as error:
            await self._later(event, error)
        except SeatrialError as error:
            await self._give_up(event, trigger, f"{error.error_type}: {error.message}")
        else:
            reached(CrashPoint.ARRIVAL_ACTED)
            await self._over(event, EventState.DONE, outcome)

    async def _later(self, event: ObjectEvent, error: Busy) -> None:
        now_ms = self._clock.now_ms()
        if event.trigger is not None and now_ms - event.at_ms > OBJECT_EVENT_SECONDS_MAX * 1000:
            await self._give_up(event, event.trigger, f"{error.error_type}: {error.message}")
            return
        wait_ms = min(OBJECT_EVENT_RETRY_MS_FIRST << min(event.tries, 20), OBJECT_EVENT_RETRY_MS_MAX)
        await self._store.postpone(event.id, f"tried again: {error.message}", now_ms + wait_ms)

    async def _give_up(self, event: ObjectEvent, trigger: Trigger, why: str) -> None:
        log.warning("arrivals.given_up", trigger=trigger.name, object=event.name.uri, change=event.change, why=why)
        await self._over(event, EventState.FAILED, why)

    async def _over(self, event: ObjectEvent, state: EventState, outcome: str) -> None:
        await self._store.settle(event.id, state, outcome, self._clock.now_ms())

    async def _forget(self) -> None:
        before_ms = self._clock.now_ms() - OBJECT_EVENT_KEPT_DAYS * 86_400_000
        while await self._store.forget(before_ms, _FORGET_BATCH) == _FORGET_BATCH:
            pass
