"""A store that is away while a job is in a worker's hands."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from seatrial.domain.jobs import JobState
from seatrial.engine import patience
from seatrial.ports.storage import StoreUnavailable

AWAY = StoreUnavailable("the object store is away")
FULL = OSError(errno.ENOSPC, "No space left on device")
BIG = "'x' * 100_000"


class Outage:
    """A method fails while it lasts, then is as it was."""

    def __init__(self, patch: pytest.MonkeyPatch, thing: Any, name: str, error: Exception, times: int) -> None:
        self._real = getattr(thing, name)
        self._error = error
        self.left = times
        patch.setattr(thing, name, self._call)

    async def _call(self, *given: Any, **more: Any) -> Any:
        if self.left:
            self.left -= 1
            raise self._error
        return await self._real(*given, **more)


@pytest.mark.parametrize("error", [AWAY, FULL], ids=["away", "full"])
@pytest.mark.parametrize("name", ["read", "stage"])
async def test_the_job_waits_and_then_succeeds(
    clock: Any, engine: Any, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception
) -> None:
    await engine.deploy()
    gate = engine.gate()
    before = await engine.submit(f"{gate.code} or 1")
    await gate.reached()
    job_id = await engine.submit(BIG + " " * 20_000)  # an input and a result that are objects
    outage = Outage(monkeypatch, engine.objects, name, error, 3)
    gate.open()
    await engine.ended(before)
    job = await engine.ended(job_id)
    assert (job.state, job.attempt, job.deaths, outage.left) == (JobState.SUCCEEDED, 1, 0, 0)
    assert await engine.value(job_id) == "x" * 100_000


@pytest.mark.parametrize(
    ("name", "doing"), [("read", "its input was being fetched"), ("stage", "its output was being stored")]
)
async def test_the_deadline_ends_the_waiting(
    clock: Any, engine: Any, monkeypatch: pytest.MonkeyPatch, name: str, doing: str
) -> None:
    await engine.deploy()
    await engine.run()
    gate = engine.gate()
    soon = {"queue_ttl_seconds": 60, "invocation_timeout_seconds": 10}
    monkeypatch.setattr(patience, "STORE_RETRY_MS", 60_000)  # both jobs try for hours of the hasty clock
    before = await engine.submit(f"{gate.code} or 1", **soon)
    await gate.reached()
    outage = Outage(monkeypatch, engine.objects, name, AWAY, 10**9 if name == "read" else 0)
    job_id = await engine.submit(BIG + " " * 20_000, **soon)
    outage.left = 10**9
    gate.open()
    await engine.ended(before)
    job = await engine.ended(job_id)
    assert (job.state, job.failure["error_type"]) == (JobState.FAILED, "deadline_exceeded")
    assert job.failure["message"] == f"The job's deadline passed while {doing}."
    assert job.failure["details"]["cause"] == "the object store is away"
    assert await engine.published(job) == ["failure"]
    outage.left = 0
    assert await engine.run("1") == 1


async def test_a_full_disk_is_not_held_against_the_endpoint(
    clock: Any, engine: Any, kill_process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.deploy()
    outage = Outage(monkeypatch, _pool(engine), "start", FULL, 20)
    await engine.kill_worker()
    assert await engine.run("1") == 1
    assert outage.left == 0


def _pool(engine: Any) -> Any:
    (crew,) = engine.deployer._crews._of.values()
    return crew._bench.pool
