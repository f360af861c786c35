"""Canaries by a clock of the test's own, and what they and a crash loop do to an endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seatrial.adapters.system.machine import ThisMachine
from seatrial.domain.canary import CanaryState
from seatrial.domain.delivery import DeliveryFilter
from seatrial.domain.endpoint import CanaryPolicy, EndpointStatus, UpdateWay
from seatrial.domain.errors import Conflict
from seatrial.domain.history import EventFilter, EventKind
from seatrial.domain.jobs import JobPurpose, JobState
from seatrial.domain.limits import CANARY_QUEUE_SECONDS_MAX

MINUTE_MS = 60_000
OBEDIENT = Path(__file__).resolve().parents[1] / "packages" / "obedient"


class Weather:
    """A package whose samples fail while the notice says so."""

    def __init__(self, engine: Any, notice: Any) -> None:
        self.engine, self._notice = engine, notice
        code = f"fail(OwnError('it rains')) if {notice.code} else 42"
        files = {name: (OBEDIENT / name).read_text() for name in ("obedient.py", "seatrial.toml")}
        files["seatrial.toml"] = files["seatrial.toml"].replace(
            'expect = "samples/sum.expect.json"\n', '\n[[tasks.do.samples]]\nname = "one"\ninput = "samples/one.json"\n'
        )
        samples = {"samples/sum.json": json.dumps({"code": code}), "samples/one.json": json.dumps({"code": code})}
        self.package = engine.package(files | samples)

    def foul(self) -> None:
        self._notice.says = "foul"

    def fair(self) -> None:
        self._notice.says = ""

    async def canary(self) -> Any:
        """The last one, once it has ended."""
        await self.engine.canaries.settled()
        return self.engine.canaries.last(await self.engine.deployer.endpoint("e"))

    async def asked(self) -> Any:
        await self.engine.canaries.ask("e")
        return await self.canary()


@pytest.fixture
async def weather(clock: Any, engine: Any) -> Weather:
    return Weather(engine, await engine.notice())


async def history(engine: Any, kind: EventKind | None = None) -> list[tuple[str, str]]:
    endpoint = await engine.deployer.endpoint("e")
    events = await engine.registry.events(EventFilter(endpoint.id, kind, limit=1_000))
    return [(event.kind.value, event.word) for event in events]


def figures(engine: Any) -> str:
    return engine.meters.exposition([])[0].decode()


async def test_they_come_so_often_one_sample_at_a_time(clock: Any, engine: Any, weather: Weather) -> None:
    await engine.deploy(weather.package, canary_minutes=5)
    await engine.canaries.look()
    assert await weather.canary() is None, "the trial has just passed"
    seen = []
    for _ in range(2):
        clock.ahead_ms += 5 * MINUTE_MS
        await engine.canaries.look()
        seen.append(await weather.canary())
        await engine.canaries.look()
        assert await weather.canary() is seen[-1], "not due again"
    assert [(one.state, one.cause.value, one.message) for one in seen] == [
        (CanaryState.PASSED, "schedule", "1 run passed")
    ] * 2
    assert [one.runs[0]["sample"] for one in seen] == ["sum", "one"], "each in its turn"
    job = await engine.inspector.job(seen[0].runs[0]["job_id"])
    assert (job.door, job.purpose, job.priority, job.state) == ("canary", JobPurpose.TRIAL, 9, JobState.SUCCEEDED)
    assert await engine.jobs() == []
    assert await engine.published(job) == [], "what it made has served its purpose"
    assert (await history(engine))[:2] == [("canary", "passed")] * 2
    assert 'seatrial_canaries_total{endpoint="e",status="passed"} 2.0' in figures(engine)


async def test_one_that_fails_is_told_of_and_the_endpoint_serves_on(engine: Any, weather: Weather) -> None:
    await engine.deploy(weather.package, webhooks=("http://127.0.0.1:9/nobody",))
    weather.foul()
    failed = await weather.asked()
    assert failed.state is CanaryState.FAILED
    assert failed.message.startswith("canary: Sample '")
    assert "of task 'do' failed: too_dark: it rains" in failed.message
    assert "Remedy: " in failed.message
    endpoint = await engine.deployer.endpoint("e")
    assert (endpoint.status, endpoint.failure_reason) == (EndpointStatus.IN_SERVICE, None)
    assert 'seatrial_canary_failing{endpoint="e"} 1.0' in figures(engine)
    while not any("canary: failed: canary: Sample" in line for line in await engine.lines()):
        pass  # lines are written in the background
    weather.fair()
    for _ in range(2):
        assert (await weather.asked()).state is CanaryState.PASSED
    assert 'seatrial_canary_failing{endpoint="e"} 0.0' in figures(engine)
    every = await engine.deliverer.deliveries(DeliveryFilter(endpoint_name="e"))
    told = [one for one in every if one.event != "endpoint.in_service"]
    assert [one.event for one in told] == ["canary.passed", "canary.failed"], "a recovery once"
    body = json.loads(told[1].body)
    assert body["type"] == "canary.failed"
    assert (body["data"]["endpoint"], body["data"]["version"], body["data"]["policy"]) == ("e", 1, "report")
    assert body["data"]["message"] == failed.message
    assert body["data"]["job_id"] == told[1].job_id == failed.runs[0]["job_id"]


async def test_by_policy_it_takes_the_endpoint_out_and_a_trial_brings_it_back(engine: Any, weather: Weather) -> None:
    await engine.deploy(weather.package, canary_policy=CanaryPolicy.TAKE_OUT)
    gate = engine.gate()
    running = await engine.submit(f"{gate.code} or os.getpid()")
    await gate.reached()
    weather.foul()
    await engine.deployer.scale("e", 2)  # the first one is busy
    failed = await weather.asked()
    assert failed.state is CanaryState.FAILED
    out = await engine.deployer.endpoint("e")
    assert (out.status, out.active_version, out.failure_reason) == (EndpointStatus.FAILED, None, failed.message)
    with pytest.raises(Conflict, match="it rains"):
        await engine.submit("1")
    gate.open()
    assert await engine.value(running), "what ran has ended"

    await engine.canaries.ask("e")
    again = await engine.settled()
    assert (again.status, again.last_version) == (EndpointStatus.FAILED, failed.version_id)
    assert again.failure_reason.startswith("prove: Sample 'sum' of task 'do' failed: too_dark: it rains")
    weather.fair()
    await engine.canaries.ask("e")
    with pytest.raises(Conflict, match="is Creating"):
        await engine.canaries.ask("e")
    back = await engine.settled()
    assert (back.status, back.active_version, back.last_version) == (
        EndpointStatus.IN_SERVICE, failed.version_id, None,
    )  # fmt: skip
    assert await engine.run("1") == 1
    statuses = [word for _, word in await history(engine, EventKind.STATUS)]
    assert statuses == ["InService", "Creating", "Failed", "Creating", "Failed", "InService", "Creating"]
    assert (await history(engine))[:2] == [("status", "InService"), ("status", "Creating")]


async def test_a_crash_loop_and_a_canary_bring_an_endpoint_back_alike(clock: Any, make_engine: Any) -> None:
    engine = await make_engine(worker_deaths_max=1)
    endpoint = await engine.deploy()
    for _ in range(7):
        await engine.submit("os._exit(3)")
    out = await engine.until(lambda one: one.status is EndpointStatus.FAILED)
    assert out.failure_reason.startswith("worker_crashed: Workers keep failing.")
    assert out.last_version == endpoint.active_version
    assert (await history(engine))[0] == ("status", "Failed")
    await engine.canaries.look()
    assert engine.canaries.last(out) is None, "nothing is asked of what is out of service"
    for job in await engine.jobs():
        if not job.ended:
            await engine.canceller.cancel(job.id)
    await engine.canaries.ask("e")
    back = await engine.settled()
    assert (back.status, back.active_version) == (EndpointStatus.IN_SERVICE, endpoint.active_version)


async def test_one_that_finds_no_worker_is_left_out(clock: Any, engine: Any, weather: Weather) -> None:
    await engine.deploy(weather.package, canary_policy=CanaryPolicy.TAKE_OUT)
    gate = engine.gate()
    running = await engine.submit(gate.code + " or 1")
    await gate.reached()
    weather.foul()
    await engine.canaries.ask("e")
    first = engine.canaries.last(await engine.deployer.endpoint("e"))
    await engine.canaries.ask("e")
    assert engine.canaries.last(await engine.deployer.endpoint("e")) is first, "one at a time"
    asked = None
    while asked is None:
        asked = next((job for job in await engine.jobs(JobPurpose.TRIAL) if job.door == "canary"), None)
    clock.ahead_ms += CANARY_QUEUE_SECONDS_MAX * 1_000
    while not (await engine.inspector.wait(asked.id, 0.05)).ended:  # a worker may have held it ahead for a moment
        await engine.reaper.reap()
    left_out = await weather.canary()
    assert left_out.state is CanaryState.SKIPPED
    assert "No worker began with the job within its 600 seconds" in left_out.message
    assert (await engine.deployer.endpoint("e")).status is EndpointStatus.IN_SERVICE
    gate.open()
    assert await engine.value(running) == 1


async def test_the_rhythm_goes_on_after_a_restart(clock: Any, engine: Any, weather: Weather) -> None:
    await engine.deploy(weather.package, canary_minutes=5)
    weather.foul()
    before = await weather.asked()
    clock.ahead_ms += 3 * MINUTE_MS
    await engine.close()
    again = await engine.restarted()
    await again.ready()
    endpoint = await again.deployer.endpoint("e")
    assert again.canaries.last(endpoint) == before
    await again.canaries.look()
    assert again.canaries.last(endpoint) == before, "not due yet"
    clock.ahead_ms += 2 * MINUTE_MS
    await again.canaries.look()
    await again.canaries.settled()
    assert again.canaries.last(endpoint).runs[0]["job_id"] != before.runs[0]["job_id"]
    assert len(await history(again, EventKind.CANARY)) == 2


async def test_a_change_of_what_it_runs_on_is_tried_once(
    engine: Any, weather: Weather, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.deploy(weather.package)
    await engine.canaries.look()
    assert await weather.canary() is None
    await engine.close()
    before = ThisMachine.platform
    monkeypatch.setattr(ThisMachine, "platform", lambda self: {**before(self), "driver": "560.28"})
    again = weather.engine = await engine.restarted()
    await again.ready()
    (version,) = await again.deployer.versions("e")
    while not again.deployer.reports.known(version.id):
        await again.deployer.wait("e", again.deployer.heard("e"), 0.02)
    await again.canaries.look()
    tried = await weather.canary()
    assert (tried.cause.value, tried.state) == ("change", CanaryState.PASSED)
    assert len(tried.changed) == 1
    assert tried.changed[0].startswith("platform: driver ")
    assert tried.changed[0].endswith("→ 560.28")
    await again.canaries.look()
    assert await weather.canary() is tried, "once for each change"
    event = (await again.registry.events(EventFilter(version.endpoint_id, EventKind.CANARY)))[0]
    assert event.details["changed"] == list(tried.changed)


async def test_where_none_can_be_run(engine: Any) -> None:
    await engine.create("broken_import")
    await engine.settled()
    with pytest.raises(Conflict, match="never in service"):
        await engine.canaries.ask("e")
    await engine.deploy("no_samples", "bare", unproven=True)
    await engine.canaries.ask("bare")
    await engine.canaries.settled()
    bare = engine.canaries.last(await engine.deployer.endpoint("bare"))
    assert (bare.state, bare.message) == (CanaryState.SKIPPED, "The version has no sample.")
    gate = engine.gate()
    await engine.update(name="bare", env={"WHILE_LOADING": gate.code}, update=UpdateWay.REPLACE)
    await gate.reached()
    with pytest.raises(Conflict, match="is Updating"):
        await engine.canaries.ask("bare")
