"""A new version in the place of the old one, under what can happen meanwhile."""

from __future__ import annotations

from typing import Any

from seatrial.domain.endpoint import EndpointStatus, UpdateWay
from seatrial.domain.jobs import JobState


async def test_neither_version_loads(clock: Any, engine: Any) -> None:
    notice = await engine.notice()
    await engine.deploy(env={"WHILE_LOADING": f"if {notice.code}: raise OSError('the device is gone')"})
    notice.says = "gone"
    waiting = None
    await engine.update("broken_import", update=UpdateWay.REPLACE)
    endpoint = await engine.until(lambda one: one.status is EndpointStatus.FAILED)
    assert endpoint.active_version is None
    assert endpoint.failure_reason.startswith("Rolled back. load: ")
    assert "a_module_that_is_not_there" in endpoint.failure_reason
    assert "Version 1 does not serve again: load_failed: " in endpoint.failure_reason
    assert "the device is gone" in endpoint.failure_reason
    assert engine.worker_processes() == []
    notice.says = ""
    await engine.update()
    waiting = await engine.settled()
    assert (waiting.status, waiting.failure_reason) == (EndpointStatus.IN_SERVICE, None)


async def test_deleting_and_scaling_while_the_old_version_ends_a_job(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    running = await engine.submit(gate.code)
    await gate.reached()
    await engine.update(update=UpdateWay.REPLACE)
    await engine.until(lambda one: one.active_version in engine.deployer._aside)
    await engine.deployer.scale("e", 3)
    assert len(engine.worker_processes()) == 1
    await engine.deployer.delete("e")
    await engine.gone()
    assert (await engine.ended(running)).failure["error_type"] == "endpoint_deleted"
    assert engine.worker_processes() == []


async def test_a_stop_while_the_old_version_ends_a_job(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    running = await engine.submit(gate.code + " or 1")
    await gate.reached()
    await engine.update(update=UpdateWay.REPLACE)
    await engine.until(lambda one: one.active_version in engine.deployer._aside)
    await engine.close()
    assert engine.worker_processes() == []
    again = await engine.restarted()
    await gate.reached()
    gate.open()
    assert await again.value(running) == 1
    endpoint = await again.settled()
    assert (endpoint.status, endpoint.failure_reason) == (EndpointStatus.IN_SERVICE, None)
    assert [one.number for one in await again.deployer.versions("e") if one.id == endpoint.active_version] == [2]


async def test_blue_and_green_a_job_in_flight_ends_on_the_version_that_took_it(engine: Any) -> None:
    """However long it takes: nothing but its own timeout bounds it."""
    one = await engine.deploy()
    gate = engine.gate()
    running = await engine.submit(gate.code + " or 1")
    await gate.reached()
    await engine.update()
    two = await engine.until(lambda one: one.status is EndpointStatus.IN_SERVICE)
    assert two.active_version != one.active_version
    assert (await engine.inspector.job(running)).state is JobState.RUNNING
    (leaving,) = engine.deployer._crews._leaving
    crew = engine.deployer._crews.of(one.active_version)
    assert crew.ready == 1
    assert not leaving.done()
    gate.open()
    job = await engine.ended(running)
    assert (job.state, job.taken_by, job.attempt) == (JobState.SUCCEEDED, one.active_version, 1)
    await leaving
    assert engine.deployer._crews.of(one.active_version) is None
