"""Nothing waits without a bound, and a job says what it waits for."""

from __future__ import annotations

import asyncio
from typing import Any

from seatrial.domain.failures import Failure
from seatrial.domain.jobs import JobState
from seatrial.domain.limits import HAND_OVER_SECONDS_MAX, RESTART_BACKOFF_SECONDS_MAX


async def waits(engine: Any, job_id: str) -> Any:
    return await engine.waits.of(await engine.inspector.job(job_id))


async def test_decide_by_covers_everything(engine: Any) -> None:
    await engine.deploy(load_timeout_seconds=30)
    job_id = await engine.submit("1", queue_ttl_seconds=100, invocation_timeout_seconds=7)
    job = await engine.ended(job_id)
    attempt_seconds = 7 + 30 + RESTART_BACKOFF_SECONDS_MAX + HAND_OVER_SECONDS_MAX
    assert job.decide_by_ms - job.submitted_at_ms == (100 + 10 * attempt_seconds) * 1000


async def test_a_running_job_past_its_deadline_is_ended(clock: Any, engine: Any, until_vanished: Any) -> None:
    """Whatever its runner waits for: its worker is gone first, then the job has its outcome."""
    await engine.deploy()
    pid = await engine.run("os.getpid()")
    gate = engine.gate()
    job_id = await engine.submit(f"{gate.code} or 1")
    await gate.reached()
    job = await engine.inspector.job(job_id)
    await engine.reaper.end_overdue()
    clock.ahead_ms += job.decide_by_ms - job.submitted_at_ms + 6_000
    await engine.reaper.end_overdue()
    await until_vanished(pid)
    while not (ended := await engine.inspector.job(job_id)).ended:
        await engine.reaper.reap()
    assert (ended.state, ended.failure["error_type"]) == (JobState.FAILED, "deadline_exceeded")
    assert await engine.published(ended) == ["failure"]
    assert await engine.run("os.getpid()") != pid


async def test_what_a_job_waits_for(engine: Any, kill_process: Any) -> None:
    await engine.deploy()
    pid = await engine.run("os.getpid()")
    gate = engine.gate()
    running = await engine.submit(f"{gate.code} or 1", invocation_timeout_seconds=50)
    await gate.reached()
    queued = [await engine.submit("1", queue_ttl_seconds=100) for _ in range(3)]
    while (await engine.inspector.job(queued[0])).state is not JobState.QUEUED:  # noqa: ASYNC110
        await asyncio.sleep(0.02)  # the runner had taken it ahead
    found = [await waits(engine, job_id) for job_id in queued]
    assert [one.what for one in found] == [
        "a free worker, as the next one",
        "a free worker, behind 1 other job",
        "a free worker, behind 2 other jobs",
    ]
    first = await engine.inspector.job(queued[0])
    assert found[0].until_ms == first.submitted_at_ms + 100_000
    wait, job = await waits(engine, running), await engine.inspector.job(running)
    assert (wait.what, wait.until_ms) == ("its handler", job.started_at_ms + 50_000)

    await kill_process(pid)
    await engine.ready(0)
    wait = await waits(engine, queued[0])
    assert wait.what in ("a worker, which is loading its model", "a worker, which starts again in 0 s after it fell")
    await gate.reached()
    again = await engine.inspector.job(running)
    assert again.attempt == 2
    gate.open()
    await engine.ended(queued[-1])
    assert await waits(engine, queued[-1]) is None


async def test_an_endpoint_that_left_service(clock: Any, engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    await engine.submit(f"{gate.code} or 1")
    await gate.reached()
    queued = await engine.submit("1")
    version = await engine.deployer.version((await engine.deployer.endpoint("e")).active_version)
    await engine.deployer.broken(version, Failure("worker_crashed", "It keeps dying."))
    await engine.until(lambda one: one.active_version is None)
    assert (await waits(engine, queued)).what == "an update of its endpoint, which is Failed"
    await engine.update()
    await gate.reached()
    gate.open()
    await engine.ended(queued)
