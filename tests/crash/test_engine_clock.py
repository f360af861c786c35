"""A wall clock that jumps, as for a host that was suspended for an hour: nothing runs again, nothing is lost."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from seatrial.domain.jobs import JobState
from seatrial.wiring import parts

HOUR_MS = 3_600_000


class JumpyClock(parts.SystemClock):
    """The machine's, whose wall time the test moves; monotonic time stands still while a host is suspended."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS])
async def test_healthy_work_is_not_run_again_because_a_clock_jumped(
    monkeypatch: pytest.MonkeyPatch, make_engine: Callable[..., Any], jump_ms: int
) -> None:
    clock = JumpyClock()
    monkeypatch.setattr(parts, "SystemClock", lambda: clock)
    engine = await make_engine()
    await engine.deploy()
    gate = engine.gate()
    running = await engine.submit(gate.code)
    await gate.reached()
    waiting = await engine.submit("2")
    clock.ahead_ms = jump_ms
    assert await engine.reaper.reap() == 0
    gate.open("done")
    for accepted, value in ((running, "done"), (waiting, 2)):
        job = await engine.ended(accepted)
        assert (job.state, job.attempt, job.deaths) == (JobState.SUCCEEDED, 1, 0), job.failure
        assert await engine.value(accepted) == value
