"""Two hundred jobs over three workers while jobs are cancelled and workers killed: each ends exactly once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from contextlib import suppress
from typing import Any

import pytest

from seatrial.domain.endpoint import EndpointStatus
from seatrial.domain.errors import Conflict
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.limits import RESTART_WINDOW_SECONDS, WORKER_DEATHS_MAX
from seatrial.engine.submit import RESULTS_BUCKET

JOBS = 200
KILLS = 15
CANCELS = 40


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
async def test_every_job_ends_exactly_once(clock: Any, engine: Any, seed: int) -> None:
    chance = random.Random(seed)
    await engine.deploy(workers=3)
    await engine.ready(3)
    codes = [_code(chance, number) for number in range(JOBS)]
    jobs = await asyncio.gather(*(engine.submit(code, priority=chance.randrange(10)) for code in codes))
    endings = _Endings(engine, jobs)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(_kill_workers(clock, engine, chance, endings))
        chosen = chance.sample(jobs, CANCELS)
        cancels = [group.create_task(_cancel(engine, one, running=number % 2 > 0)) for number, one in enumerate(chosen)]
        group.create_task(endings.watch())

    ended = {job_id: await engine.ended(job_id) for job_id in jobs}
    assert endings.seen == {job_id: [job.state] for job_id, job in ended.items()}
    for number, job in enumerate(ended.values()):
        await _check(engine, job, number)
    cancelled = {job.id for job in ended.values() if job.state is JobState.CANCELLED}
    assert cancelled == {cancel.result() for cancel in cancels} - {None}
    assert sum(job.deaths for job in ended.values()) <= KILLS
    kept = await engine.objects.list(RESULTS_BUCKET, limit=1_000)
    assert len(kept.objects) == JOBS, "one object for each"
    counts = await engine.inspector.counts((await engine.deployer.endpoint("e")).id)
    assert sum(counts.values()) == JOBS
    assert counts.get(JobState.QUEUED, 0) == counts.get(JobState.RUNNING, 0) == 0
    assert (await engine.deployer.endpoint("e")).status is EndpointStatus.IN_SERVICE


def _code(chance: random.Random, number: int) -> str:
    pause = f"time.sleep({chance.choice([0, 0.005, 0.02, 0.04]):g}) or "
    return pause + ("1 / 0" if number % 10 == 9 else str(number))


async def _check(engine: Any, job: Job, number: int) -> None:
    assert await engine.published(job) == ["result" if job.state is JobState.SUCCEEDED else "failure"]
    if job.state is JobState.SUCCEEDED:
        assert json.loads(await engine.read(job.output.result)) == {"value": number}
    elif job.state is JobState.FAILED:
        expected = "worker_crashed" if job.deaths == WORKER_DEATHS_MAX else "handler_error"
        assert job.failure["error_type"] == expected
        assert number % 10 == 9 or job.deaths == WORKER_DEATHS_MAX


class _Endings:
    """Every change to a terminal state that the server tells of."""

    def __init__(self, engine: Any, jobs: list[str]) -> None:
        self.seen: dict[str, list[JobState]] = {}
        self.all = asyncio.Event()
        self._engine = engine
        self._jobs = jobs

    async def watch(self) -> None:
        await asyncio.gather(*(self._one(job_id) for job_id in self._jobs))
        self.all.set()

    async def _one(self, job_id: str) -> None:
        states = [job.state async for job in self._engine.inspector.follow(job_id)]
        self.seen[job_id] = [
            state for state in states if state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
        ]


async def _kill_workers(clock: Any, engine: Any, chance: random.Random, endings: _Endings) -> None:
    """From outside, at any moment; time passes so that this is no crash loop."""
    for _ in range(KILLS):
        if endings.all.is_set():
            return
        while engine.deployer.workers("e") < 2 and not endings.all.is_set():
            await engine.deployer.wait("e", engine.deployer.heard("e"), 0.01)
        clock.ahead_ms += RESTART_WINDOW_SECONDS * 1_000
        if found := engine.worker_processes():
            with suppress(ProcessLookupError):
                os.kill(chance.choice(found), signal.SIGKILL)
        await asyncio.sleep(chance.random() / 20)


async def _cancel(engine: Any, job_id: str, running: bool) -> str | None:
    """The job, if the cancel was what ended it. With `running` it comes as soon as the job is taken."""
    async for job in engine.inspector.follow(job_id):
        if not running or job.state is not JobState.QUEUED:
            break
    try:
        job = await engine.canceller.cancel(job_id)
    except Conflict:
        return None
    assert job.state is JobState.CANCELLED
    return job_id
