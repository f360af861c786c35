"""Alarms on the figures over time: kept, evaluated, and acted upon when they change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from pydantic import TypeAdapter

from seatrial.domain.alarms import Alarm, AlarmEvent, AlarmState, Verdict, evaluated, judged
from seatrial.domain.errors import ALARM_NOT_FOUND, INVALID_FIELD, BadInput, NotFound, SeatrialError
from seatrial.domain.limits import ALARM_HISTORY_KEPT, ALARMS_MAX, SCALING_LOOK_MS, STORE_RETRY_MS
from seatrial.domain.scaling import NO_CAPACITY
from seatrial.domain.series import MINUTE_MS, NAMESPACE, metric
from seatrial.engine.figures import ENDPOINT, Figures
from seatrial.ports.clock import Clock
from seatrial.ports.registry import NotThere, Registry
from seatrial.ports.storage import StoreUnavailable

log = structlog.get_logger()

ALARMS = "cloudwatch.alarm"  # documents, by name
_EXECUTED = {"Succeeded": "Successfully executed", "Failed": "Failed to execute"}


@dataclass(frozen=True, slots=True)
class Change:
    """An alarm that has just changed, or that is in alarm still; the state before, and the value that decided."""

    alarm: Alarm
    before: AlarmState
    value: float | None
    at_ms: int


# What an action comes to, in words. Raises SeatrialError: it failed.
Action = Callable[[str, Change], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Kept:
    """An alarm with its history, oldest first."""

    alarm: Alarm
    history: tuple[AlarmEvent, ...] = ()


_DOCUMENTS = TypeAdapter(Kept)


@dataclass(slots=True)
class _Held:
    """Between evaluations: until when a state that was set by hand stays, and which minute repeated its actions."""

    set_until_ms: int = 0
    acted_minute: int = field(default=-1)


class Alarms:
    """`actions` are by the beginning of the ARNs that they understand; those of `again` are repeated every minute."""

    def __init__(self, registry: Registry, figures: Figures, clock: Clock) -> None:
        self._registry = registry
        self._figures = figures
        self._clock = clock
        self._kept: dict[str, Kept] = {}  # by name
        self._held: dict[str, _Held] = {}
        self._actions: list[tuple[Callable[[str], bool], Action, bool]] = []
        self._turn = asyncio.Lock()

    def on_action(self, understands: Callable[[str], bool], act: Action, *, again: bool = False) -> None:
        """Act so for ARNs that are understood; `again`: every minute while the alarm stays in that state."""
        self._actions.append((understands, act, again))

    async def load(self) -> None:
        """Read them, at start."""
        for name, body in await self._registry.documents(ALARMS):
            self._kept[name] = _DOCUMENTS.validate_python(body)

    # ------------------------------------------------------------------ verbs

    async def put(self, alarm: Alarm) -> None:
        """A new alarm, or one in the place of that name, which keeps its state.

        Raises:
            BadInput: there are too many.
        """
        async with self._turn:
            before = self._kept.get(alarm.name)
            if before is None and len(self._kept) >= ALARMS_MAX:
                raise BadInput(INVALID_FIELD, "There cannot be more alarms.", valid=f"at most {ALARMS_MAX}")
            if before is not None:
                old = before.alarm
                alarm = replace(
                    alarm, state=old.state, reason=old.reason, reason_data=old.reason_data, since_ms=old.since_ms
                )
            what = "created" if before is None else "updated"
            event = self._event(alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" {what}', {"type": what.title()})
            await self._save(alarm, before.history if before else (), [event])

    async def delete(self, names: list[str]) -> None:
        """Raises NotFound: there is not one of them; then none is deleted."""
        async with self._turn:
            for name in names:
                self.alarm(name)
            for name in names:
                try:
                    await self._registry.remove_document(ALARMS, name)
                except NotThere:
                    pass
                self._kept.pop(name, None)
                self._held.pop(name, None)

    async def set_state(self, name: str, state: AlarmState, reason: str, reason_data: str | None) -> None:
        """Until the next minute begins it is so, whatever its metric says; its actions follow.

        Raises:
            NotFound: no such alarm.
        """
        async with self._turn:
            alarm = self.alarm(name)
            now_ms = self._clock.now_ms()
            held = self._held.setdefault(name, _Held())
            held.set_until_ms = (now_ms // MINUTE_MS + 1) * MINUTE_MS
            values = self._values(alarm, now_ms)
            value = next((one for one in values if one is not None), None)
            if state is alarm.state:
                await self._save(replace(alarm, reason=reason, reason_data=reason_data), self._kept[name].history, ())
            else:
                await self._change(alarm, state, reason, reason_data, value)

    # ------------------------------------------------------------------ looks

    def alarm(self, name: str) -> Alarm:
        """By name. Raises NotFound."""
        kept = self._kept.get(name)
        if kept is None:
            raise NotFound(ALARM_NOT_FOUND, f"There is no alarm {name!r}.")
        return kept.alarm

    def alarms(self) -> list[Alarm]:
        """All, by name."""
        return [self._kept[name].alarm for name in sorted(self._kept)]

    def history(self) -> list[AlarmEvent]:
        """What happened to every alarm that there is, newest first."""
        events = [event for kept in self._kept.values() for event in kept.history]
        return sorted(events, key=lambda event: event.at_ms)[::-1]

    def acting(self, action: Callable[[str], bool]) -> list[Alarm]:
        """Alarms that act so when they are in alarm."""
        return [one for one in self.alarms() if any(action(arn) for arn in one.actions.get(AlarmState.ALARM, ()))]

    def patience_seconds(self, endpoint_name: str, action: Callable[[str], bool]) -> int | None:
        """How long the quickest alarm takes that acts so on an endpoint's backlog without capacity; None: none does."""
        which = metric(NAMESPACE, NO_CAPACITY, {ENDPOINT: endpoint_name})
        able = [
            one.rule.evaluation_periods * one.rule.period_seconds
            for one in self.acting(action)
            if one.actions_enabled and one.rule.metric == which and one.rule.breaches(1)
        ]
        return min(able, default=None)

    async def run(self) -> None:
        """For ever, until cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                log.warning("alarms.store_unavailable", error=str(error))
                await self._clock.sleep_ms(STORE_RETRY_MS)
            except Exception:  # the named edge: a defect in one look must not end alarms for good
                log.exception("alarms.defect")
            await self._clock.sleep_ms(SCALING_LOOK_MS)

    async def look(self) -> None:
        """Evaluate every alarm."""
        for name in list(self._kept):
            async with self._turn:
                if name in self._kept:
                    await self._evaluate(self._kept[name].alarm)

    async def _evaluate(self, alarm: Alarm) -> None:
        now_ms = self._clock.now_ms()
        held = self._held.setdefault(alarm.name, _Held())
        if now_ms < held.set_until_ms:
            return
        values = self._values(alarm, now_ms)
        verdict = judged(alarm.rule, values, alarm.state)
        value = next((one for one in verdict.values if one is not None), None)
        if verdict.state is not alarm.state:
            await self._change(alarm, verdict.state, verdict.reason, _data(alarm, verdict), value)
        elif held.acted_minute >= 0 and now_ms // MINUTE_MS > held.acted_minute:
            await self._act(Change(alarm, alarm.state, value, now_ms), again=True)

    def _values(self, alarm: Alarm, now_ms: int) -> tuple[float | None, ...]:
        which = alarm.rule.metric
        return evaluated(alarm.rule, self._figures.points(which), now_ms, self._figures.is_level(which))

    # ------------------------------------------------------------------ inside

    async def _change(
        self, alarm: Alarm, state: AlarmState, reason: str, reason_data: str | None, value: float | None
    ) -> None:
        now_ms = self._clock.now_ms()
        changed = replace(alarm, state=state, reason=reason, reason_data=reason_data, since_ms=now_ms)
        data = {
            "oldState": {"stateValue": alarm.state.value, "stateReason": alarm.reason},
            "newState": {"stateValue": state.value, "stateReason": reason},
        }
        event = self._event(changed, "StateUpdate", f"Alarm updated from {alarm.state} to {state}", data)
        await self._save(changed, self._kept[alarm.name].history, [event])
        log.info("alarm.changed", alarm=alarm.name, before=alarm.state.value, after=state.value, reason=reason)
        await self._act(Change(changed, alarm.state, value, now_ms))

    async def _act(self, change: Change, *, again: bool = False) -> None:
        alarm = change.alarm
        held = self._held.setdefault(alarm.name, _Held())
        held.acted_minute = -1
        events = []
        for arn in alarm.actions.get(alarm.state, ()) if alarm.actions_enabled else ():
            act, repeats = self._action(arn)
            if repeats:
                held.acted_minute = change.at_ms // MINUTE_MS
            if again and not repeats:
                continue
            try:
                said, state = await act(arn, change), "Succeeded"
            except SeatrialError as error:
                said, state = error.message, "Failed"
                log.warning("alarm.action_failed", alarm=alarm.name, action=arn, error=said)
            data = {"actionState": state, "notificationResource": arn, "said": said}
            summary = f"{_EXECUTED[state]} action {arn}: {said}"
            if not again or summary != self._kept[alarm.name].history[-1].summary:  # else every minute the same
                events.append(self._event(alarm, "Action", summary, data))
        if events:
            await self._save(alarm, self._kept[alarm.name].history, events)

    def _action(self, arn: str) -> tuple[Action, bool]:
        return next(((act, again) for understands, act, again in self._actions if understands(arn)), (_unknown, False))

    def _event(self, alarm: Alarm, kind: str, summary: str, data: Mapping[str, Any]) -> AlarmEvent:
        return AlarmEvent(alarm.name, self._clock.now_ms(), kind, summary, data)

    async def _save(self, alarm: Alarm, history: tuple[AlarmEvent, ...], events: Any) -> None:
        kept = Kept(alarm, (*history, *events)[-ALARM_HISTORY_KEPT:])
        body = _DOCUMENTS.dump_python(kept, mode="json")
        await self._registry.save_document(ALARMS, alarm.name, body, self._clock.now_ms())
        self._kept[alarm.name] = kept


async def _unknown(arn: str, change: Change) -> str:
    raise BadInput(INVALID_FIELD, f"The action {arn} is not offered here.")


def _data(alarm: Alarm, verdict: Verdict) -> str:
    recent = [one for one in verdict.values if one is not None]
    told = {
        "version": "1.0",
        "statistic": alarm.rule.statistic.value,
        "period": alarm.rule.period_seconds,
        "recentDatapoints": recent,
        "threshold": alarm.rule.threshold,
    }
    return json.dumps(told)
