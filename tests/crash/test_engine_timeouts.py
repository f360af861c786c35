"""Which timeout a job has, and which limit ends its handler: the request's, its task's own, or the worker's."""

from typing import Any

import pytest

from seatrial.domain.limits import HAND_OVER_SECONDS_MAX, RESTART_BACKOFF_SECONDS_MAX

TASKS = {
    "handler.py": """\
        class Tasks:
            def quick(self, loop=False):
                while loop:
                    pass
                return {"value": 1}

            long = plain = quick
        """,
    "seatrial.toml": """\
        [package]
        name = "tasks"
        handler = "handler:Tasks"
        [worker]
        invocation_timeout_seconds = 2
        load_timeout_seconds = 30
        [tasks.quick]
        aliases = ["fast"]
        timeout_seconds = 1
        input.loop.type = "boolean"
        samples = [{ input = "s.json" }]
        [tasks.long]
        timeout_seconds = 50
        input.loop.type = "boolean"
        samples = [{ input = "s.json" }]
        [tasks.plain]
        input.loop.type = "boolean"
        samples = [{ input = "s.json" }]
        """,
    "s.json": "{}",
}


async def ended(engine: Any, **asked: Any) -> Any:
    return await engine.ended(await engine.submit(**{"body": b"{}"} | asked))


async def test_a_known_task_brings_its_own_timeout(engine: Any) -> None:
    await engine.deploy(engine.package(TASKS))
    for task, asked, seconds in (
        ("quick", None, 1),
        ("fast", None, 1),
        ("long", None, 50),
        ("plain", None, 2),
        ("long", 7, 7),
        ("long", 70, 50),
        ("plain", 70, 70),
        (None, None, 50),
        (None, 70, 70),
        (None, 7, 7),
    ):
        body = b"{}" if task else b'{"task": "plain"}'
        job = await ended(engine, task=task, body=body, queue_ttl_seconds=100, invocation_timeout_seconds=asked)
        assert job.failure is None, job.failure
        assert job.invocation_timeout_ms == seconds * 1000, (task, asked)
        attempt_seconds = seconds + 30 + RESTART_BACKOFF_SECONDS_MAX + HAND_OVER_SECONDS_MAX
        assert job.decide_by_ms - job.submitted_at_ms == (100 + 10 * attempt_seconds) * 1000


@pytest.mark.parametrize(
    ("asked", "limit"),
    [
        ({"task": "quick", "body": b'{"loop": true}'}, "tasks.quick.timeout_seconds allows (1 s)"),
        ({"body": b'{"task": "fast", "loop": true}'}, "tasks.quick.timeout_seconds allows (1 s)"),
        ({"body": b'{"task": "plain", "loop": true}'}, "worker.invocation_timeout_seconds allows (2 s)"),
        ({"body": b'{"task": "long", "loop": true}', "invocation_timeout_seconds": 1}, "longer than 1 s"),
    ],
)
async def test_the_limit_that_ended_the_handler_is_named(engine: Any, asked: dict[str, Any], limit: str) -> None:
    await engine.deploy(engine.package(TASKS))
    job = await ended(engine, **asked)
    assert job.failure["error_type"] == "invocation_timeout"
    assert limit in job.failure["message"]
    assert job.failure["details"]["remedy"]
