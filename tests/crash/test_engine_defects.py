"""Faults of the server itself: a job or an endpoint ends with them, and nothing hangs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from seatrial.domain.endpoint import EndpointStatus
from seatrial.domain.jobs import JobState


def fails_once(monkeypatch: pytest.MonkeyPatch, thing: Any, name: str) -> None:
    """The first call of a method raises what nobody expects; the others are as they were."""
    real = getattr(thing, name)

    async def fail(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(thing, name, real)
        raise RuntimeError("a defect")

    monkeypatch.setattr(thing, name, fail)


@pytest.mark.parametrize(("part", "name"), [("dispatcher", "finish"), ("preparer", "prepare"), ("objects", "stage")])
async def test_a_job_ends(engine: Any, monkeypatch: pytest.MonkeyPatch, part: str, name: str) -> None:
    await engine.deploy("obedient_sagemaker")
    thing = engine.submitter._preparer if part == "preparer" else getattr(engine, part)
    fails_once(monkeypatch, thing, name)
    job = await engine.ended(await engine.submit("1"))
    assert (job.state, job.failure["error_type"]) == (JobState.FAILED, "internal_error")
    assert "a defect" in job.failure["message"]
    assert await engine.published(job) == ["failure"]
    assert await engine.run("1") == 1


@pytest.mark.parametrize("name", ["open", "take", "close"])
async def test_a_worker_is_replaced(
    clock: Any, engine: Any, kill_process: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    await engine.deploy()
    worker = await engine.run("os.getpid()")
    fails_once(monkeypatch, engine.dispatcher, name)
    await kill_process(worker)
    assert await engine.run("os.getpid()") != worker


async def test_a_trial_ends(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_once(monkeypatch, engine.deployer._packages, "add")
    await engine.create()
    endpoint = await engine.settled()
    assert endpoint.status is EndpointStatus.FAILED
    assert endpoint.failure_reason == "The server failed to run the trial: a defect"
    await engine.update()
    assert (await engine.settled()).status is EndpointStatus.IN_SERVICE


async def test_deadlines_are_kept(clock: Any, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await engine.deploy()
    gate = engine.gate()
    await engine.submit(gate.code)
    await gate.reached()
    waiting = await engine.submit("1", queue_ttl_seconds=600)
    fails_once(monkeypatch, engine.reaper._uploads, "expire")
    reaping = asyncio.create_task(engine.reaper.run())
    job = await engine.ended(waiting)
    assert job.failure["error_type"] == "queue_ttl_expired"
    assert not reaping.done()
    reaping.cancel()


async def test_a_stop_is_bounded_although_the_store_is_gone(clock: Any, engine: Any) -> None:
    """Nothing can be written any more; the next server closes what this one leaves open."""
    await engine.deploy()
    gate = engine.gate()
    running = await engine.submit(gate.code + " or 1")
    await gate.reached()
    await engine.submitter._store._database.close()
    engine.dispatcher.drain()
    async with asyncio.timeout(30):
        await engine.deployer.close(0)
    assert engine.worker_processes() == []
    await engine.close()

    again = await engine.restarted()
    await gate.reached()
    gate.open()
    assert await again.value(running) == 1
