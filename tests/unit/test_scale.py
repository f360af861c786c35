"""The looks of the scaler and of the alarms, by a clock that the test sets, on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.job_store import SqlJobStore
from seatrial.adapters.sql.registry import SqlRegistry
from seatrial.domain import commands as c
from seatrial.domain.alarms import Alarm, AlarmRule, AlarmState, Comparison
from seatrial.domain.endpoint import Endpoint, EndpointStatus, EndpointVersion
from seatrial.domain.errors import BadInput, NotFound
from seatrial.domain.failures import Failure
from seatrial.domain.limits import ALARM_HISTORY_KEPT, SCALING_MEMORY_KEPT_BYTES
from seatrial.domain.scaling import NO_CAPACITY, Adjustment, ScalingSettings, Step, Stepping
from seatrial.domain.series import MINUTE_MS, NAMESPACE, Statistic, metric, sample
from seatrial.engine.alarms import Alarms, Change
from seatrial.engine.figures import Figures
from seatrial.engine.scale import Machine, Scaler
from seatrial.testing.job_store import ENDPOINT, submission, version

NAME = ENDPOINT.name
POLICY = "arn:aws:autoscaling:here:scalingPolicy:"
WAKE = Stepping(Adjustment.CHANGE, (Step(0, None, 1),), cooldown_seconds=0)


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.ms = 1_000_000 * MINUTE_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms

    async def sleep_ms(self, duration_ms: int) -> None:
        raise AssertionError("looks are made by the test")


class Fleet:
    """An endpoint whose workers are there as soon as they should be."""

    def __init__(self) -> None:
        self.it: Endpoint = replace(ENDPOINT, status=EndpointStatus.IN_SERVICE, active_version="v1")
        self.of_version: EndpointVersion = version("v1", 1)
        self.worker_bytes: int | None = None

    async def endpoints(self) -> list[Endpoint]:
        return [self.it]

    async def endpoint(self, name: str) -> Endpoint:
        return self.it

    async def version(self, version_id: str) -> EndpointVersion:
        return self.of_version

    def workers(self, name: str) -> int:
        return self.it.workers_desired

    def worker_memory_bytes(self, name: str) -> int | None:
        return self.worker_bytes

    async def scale(self, name: str, workers: int) -> None:
        self.it = replace(self.it, workers_desired=workers)


class World:
    """The scaler and the alarms, and what they look at."""

    def __init__(self, database: Database) -> None:
        self.clock, self.fleet = Clock(), Fleet()
        self.registry, self.store = SqlRegistry(database), SqlJobStore(database)
        self.figures = Figures(lambda name: "AllTraffic", self.clock)
        self.outside = 0
        self.free_bytes = 1 << 40
        self.acted: list[tuple[str, AlarmState]] = []
        self.open()

    def open(self) -> None:
        """As at a start of the server."""
        machine = Machine(64, lambda: self.free_bytes)
        self.scaler = Scaler(
            self.fleet, lambda name: self.outside, self.registry, self.store, self.figures, machine, self.clock
        )
        self.alarms = Alarms(self.registry, self.figures, self.clock)

        async def step(arn: str, change: Change) -> str:
            self.acted.append((arn, change.alarm.state))
            return await self.scaler.step(arn.removeprefix(POLICY), 0, change.alarm.name)

        self.alarms.on_action(lambda arn: arn.startswith(POLICY), step, again=True)
        self.scaler.on_wake(
            lambda name, policy_id: self.alarms.patience_seconds(name, lambda arn: arn == POLICY + policy_id)
        )

    async def look(self, seconds: int = 1) -> int:
        """A look in each of the next seconds; the workers that there should be then."""
        for _ in range(seconds):
            self.clock.ms += 1000
            await self.scaler.look()
            await self.alarms.look()
        return self.fleet.it.workers_desired

    async def submit(self, count: int = 1) -> None:
        now_ms = self.clock.ms
        jobs = [submission(submitted_at_ms=now_ms, decide_by_ms=now_ms + 10_000_000) for _ in range(count)]
        await self.store.apply(jobs)

    async def end_all(self) -> None:
        failure = Failure("cancelled", "over")
        await self.store.apply([c.FailQueued(ENDPOINT.id, failure, self.clock.ms, None, 500)])

    async def alarm(self, name: str, which: str, policy_id: str, **more: object) -> None:
        rule = AlarmRule(
            metric(NAMESPACE, which, {"EndpointName": NAME}), Statistic.AVERAGE, 60, 2, 2, Comparison.AT_LEAST, 1
        )
        actions = {AlarmState.ALARM: (POLICY + policy_id,)}
        alarm = Alarm(name, "owner", rule, actions, True, None, None, self.clock.ms)
        await self.alarms.put(replace(alarm, **more))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    database = await Database.open(tmp_path / "seatrial.db")
    await SqlRegistry(database).create_endpoint(ENDPOINT, version("v1", 1))
    yield World(database)
    await database.close()


async def test_a_job_wakes_at_once_more_follow_the_backlog_and_quiet_ends_them(world: World) -> None:
    await world.scaler.set_plan(NAME, ScalingSettings(0, 3, 2, scale_in_seconds=10))
    assert await world.look(9) == ENDPOINT.workers_desired
    assert await world.look(3) == 0
    await world.submit()
    assert await world.look() == 1, "one job is below the target of two, and must not wait for others"
    await world.submit(4)
    assert await world.look() == 3
    await world.submit(50)
    assert await world.look() == 3
    await world.end_all()
    assert await world.look(9) == 3, "what was wanted within the last ten seconds stays"
    await world.submit()
    assert await world.look() == 1
    await world.end_all()
    assert await world.look(9) == 1
    assert await world.look() == 0
    await world.submit()  # as the last one leaves
    assert await world.look() == 1
    causes = [event.message for event in await world.scaler.activities(NAME, 10)]
    assert causes[0] == "0 to 1 workers: a job waits and there is no worker"


async def test_an_alarm_that_wakes_decides_when_as_long_as_it_can(world: World) -> None:
    await world.scaler.set_limits(NAME, 0, 2)
    policy = await world.scaler.put_policy(NAME, "wake", WAKE)
    await world.fleet.scale(NAME, 0)
    await world.alarm("wakes", NO_CAPACITY, policy.id)
    await world.look(60)
    await world.submit()
    assert await world.look(30) == 0, "two minutes must breach"
    assert await world.look(60) == 1
    assert world.acted == [(POLICY + policy.id, AlarmState.ALARM)]

    await world.end_all()
    await world.fleet.scale(NAME, 0)
    await world.look(120)
    await world.alarm("wakes", NO_CAPACITY, policy.id, actions_enabled=False)
    await world.submit()
    assert await world.look() == 1, "nobody else would wake it"

    await world.end_all()
    await world.fleet.scale(NAME, 0)
    await world.look(120)
    await world.scaler.put_policy(NAME, "wake", Stepping(Adjustment.CHANGE, (Step(5, None, 1),), cooldown_seconds=0))
    await world.alarm("wakes", NO_CAPACITY, policy.id)
    await world.submit()
    assert await world.look(230) == 0
    assert await world.look(20) == 1, "the alarm's policy has no step for it: the server sees to it, late"


async def test_what_was_set_by_hand_is_where_it_goes_on_from(world: World) -> None:
    await world.scaler.set_plan(NAME, ScalingSettings(0, 5, 1, scale_in_seconds=20, scale_out_seconds=600))
    await world.submit(3)
    assert await world.look() == 3
    await world.fleet.scale(NAME, 1)  # a new version begins with one, or somebody said so
    assert await world.look() == 3, "no cooldown of another number's"
    await world.end_all()
    assert await world.look(22) == 0
    await world.submit(2)
    assert await world.look() == 1, "the same growth again has to wait for its cooldown; a job at zero must not"
    assert (await world.scaler.standing(NAME)).held_back == "the cooldown of the last scaling out lasts"


async def test_who_pulls_from_outside_is_capacity(world: World) -> None:
    await world.scaler.set_plan(NAME, ScalingSettings(0, 3, 5, scale_in_seconds=0))
    await world.look(2)
    world.outside = 1
    await world.submit()
    assert await world.look(3) == 0
    world.outside = 0
    assert await world.look() == 1


async def test_the_machine_and_suspension_hold_back_and_say_so(world: World) -> None:
    await world.scaler.set_plan(NAME, ScalingSettings(0, 9, 1, scale_in_seconds=0))
    await world.look(2)
    world.fleet.worker_bytes = 100
    world.free_bytes = SCALING_MEMORY_KEPT_BYTES + 250
    await world.submit(5)
    assert await world.look() == 2
    standing = await world.scaler.standing(NAME)
    assert standing.held_back == "the machine has no room for more than 2 workers; 5 were wanted"
    await world.scaler.set_limits(NAME, None, None, paused_out=True)
    world.free_bytes = 1 << 40
    assert await world.look() == 2
    assert (await world.scaler.standing(NAME)).held_back == "scaling out is suspended"
    await world.scaler.set_limits(NAME, 3, 4, paused_out=False)
    assert await world.look(2) == 4


async def test_plans_outlive_a_restart_and_a_packages_own_is_in_force_until_somebody_says_otherwise(
    world: World,
) -> None:
    world.fleet.of_version = replace(
        world.fleet.of_version, settings=replace(world.fleet.of_version.settings, scaling=ScalingSettings(0, 1))
    )
    plan = await world.scaler.plan(NAME)
    assert plan is not None
    assert (plan.minimum, plan.maximum, plan.policies[0].name) == (0, 1, "seatrial")
    await world.scaler.set_limits(NAME, None, 5)
    await world.scaler.put_policy(NAME, "wake", WAKE)
    world.open()
    await world.scaler.load()
    plan = await world.scaler.plan(NAME)
    assert plan is not None
    assert (plan.maximum, [one.name for one in plan.policies]) == (5, ["seatrial", "wake"])
    assert plan.policies[1].rule == WAKE
    await world.scaler.delete_policy(NAME, "wake")
    await world.scaler.drop_plan(NAME)
    assert await world.scaler.plan(NAME) is None
    with pytest.raises(NotFound, match="is not scaled"):
        await world.scaler.put_policy(NAME, "wake", WAKE)
    world.fleet.it = replace(world.fleet.it, active_version="v2")
    assert await world.scaler.plan(NAME) is not None, "a new version brings its own"
    with pytest.raises(BadInput, match="from 0 to the maximum"):
        await world.scaler.set_plan(NAME, ScalingSettings(2, 1))


async def test_steps_repeat_while_the_alarm_stays_and_cooldowns_hold(world: World) -> None:
    await world.scaler.set_limits(NAME, 0, 4)
    await world.fleet.scale(NAME, 1)
    policy = await world.scaler.put_policy(NAME, "more", replace(WAKE, cooldown_seconds=90))
    world.clock.ms += MINUTE_MS - world.clock.ms % MINUTE_MS
    mine = metric("Mine", "load", {})
    rule = AlarmRule(mine, Statistic.MAXIMUM, 60, 1, 1, Comparison.AT_LEAST, 1)
    await world.alarm("load", "unused", policy.id, rule=rule)
    for _ in range(8):
        world.figures.put(mine, sample(5), world.clock.ms)
        world.clock.ms += MINUTE_MS
    steps = [await world.look() for _ in range(3)]
    assert steps == [2, 2, 2], "once in a minute"
    assert await world.look(58) == 2, "within the cooldown the growth of before is part of the next"
    world.figures.put(mine, sample(5), world.clock.ms)
    world.clock.ms += MINUTE_MS
    assert await world.look() == 3
    assert {state for _, state in world.acted} == {AlarmState.ALARM}


async def test_a_state_set_by_hand_stays_for_the_minute_and_history_is_bounded(world: World) -> None:
    rule = AlarmRule(metric("Mine", "m", {}), Statistic.SUM, 60, 1, 1, Comparison.ABOVE, 1)
    await world.alarm("mine", "unused", "nobody", rule=rule)
    world.clock.ms += MINUTE_MS - world.clock.ms % MINUTE_MS + 1000
    await world.alarms.set_state("mine", AlarmState.ALARM, "a try", None)
    await world.look(30)
    assert world.alarms.alarm("mine").state is AlarmState.ALARM
    kinds = [event.kind for event in world.alarms.history()]
    assert kinds[:3] == ["Action", "StateUpdate", "ConfigurationUpdate"]
    assert "Failed to execute action" in world.alarms.history()[0].summary
    await world.look(30)
    assert world.alarms.alarm("mine").state is AlarmState.INSUFFICIENT
    for number in range(ALARM_HISTORY_KEPT):
        state = (AlarmState.ALARM, AlarmState.OK)[number % 2]
        await world.alarms.set_state("mine", state, "again", None)
    assert len(world.alarms.history()) == ALARM_HISTORY_KEPT
    world.open()
    await world.alarms.load()
    assert world.alarms.alarm("mine").state is AlarmState.OK
    await world.alarms.delete(["mine"])
    with pytest.raises(NotFound, match="no alarm 'mine'"):
        await world.alarms.delete(["mine"])


@pytest.mark.parametrize("act", [lambda world: world.scaler.look(), lambda world: world.alarms.look()])
async def test_a_server_without_endpoints_looks_at_nothing(world: World, act: Callable[[World], object]) -> None:
    async def none() -> list[Endpoint]:
        return []

    world.fleet.endpoints = none
    await act(world)
    assert world.figures.metrics() == []
