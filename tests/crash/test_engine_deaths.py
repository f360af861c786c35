"""Timeouts and deaths: what they cost whom, and that the endpoint goes on or leaves service in a bounded time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from seatrial.adapters.processes.descendants import look_at
from seatrial.domain.endpoint import EndpointStatus
from seatrial.domain.errors import BadInput, Conflict
from seatrial.domain.jobs import JobState
from seatrial.domain.limits import RESTARTS_PER_WINDOW_MAX, WORKER_DEATHS_MAX
from seatrial.domain.objects import ObjectName
from seatrial.http.api.views import JobView

LOOP = "[None for _ in iter(int, 1)]"


async def test_an_endless_loop_is_ended_and_the_next_job_gets_a_new_worker(engine: Any) -> None:
    await engine.deploy()
    worker, offspring = await engine.run("[os.getpid(), child()]")
    job = await engine.ended(await engine.submit(LOOP, invocation_timeout_seconds=1))
    assert look_at(worker) is None
    assert look_at(offspring) is None
    assert (job.state, job.attempt, job.deaths) == (JobState.FAILED, 1, 0)
    assert job.failure["error_type"] == "invocation_timeout"
    assert "1 s" in job.failure["message"]
    assert job.failure["details"]["remedy"]
    assert await engine.published(job) == ["failure"]
    assert await engine.run("os.getpid()") != worker
    endpoint = await engine.deployer.endpoint("e")
    assert endpoint.status is EndpointStatus.IN_SERVICE


async def test_neighbours_of_a_timeout_run_again(engine: Any) -> None:
    await engine.deploy()
    await engine.warm_up()
    looping = await engine.submit(LOOP, invocation_timeout_seconds=1)
    neighbours = [await engine.submit(str(number), invocation_timeout_seconds=1) for number in range(3)]
    assert [await engine.value(one) for one in neighbours] == [0, 1, 2], "waiting in the worker is not running"
    assert {(await engine.ended(one)).deaths for one in neighbours} == {0}
    assert (await engine.ended(looping)).failure["error_type"] == "invocation_timeout"


async def test_a_job_does_not_run_beyond_its_deadline(clock: Any, engine: Any, kill_process: Any) -> None:
    """Its first attempt was lost; what is left of its time is all that the second one gets."""
    await engine.deploy()
    worker = await engine.run("os.getpid()")
    gate = engine.gate()
    job_id = await engine.submit(gate.code)
    await gate.reached()
    clock.ahead_ms += (await engine.inspector.job(job_id)).decide_by_ms - clock.now_ms() - 1_500
    await kill_process(worker)
    await gate.reached()
    job = await engine.ended(job_id)
    assert (job.attempt, job.failure["error_type"]) == (2, "deadline_exceeded")


@pytest.mark.parametrize("code", ["ctypes.string_at(0)", "os._exit(7)", "os.kill(os.getpid(), signal.SIGKILL)"])
async def test_a_job_that_kills_its_worker_once_runs_again(engine: Any, until_vanished: Any, code: str) -> None:
    await engine.deploy()
    first = await engine.run("os.getpid()")
    gate = engine.gate()
    job_id = await engine.submit(f"{code} if {gate.code} else os.getpid()")
    await gate.reached()
    gate.open("die")
    await until_vanished(first)
    await gate.reached()
    gate.open()
    second = await engine.value(job_id)
    job = await engine.ended(job_id)
    assert (job.state, job.attempt, job.deaths) == (JobState.SUCCEEDED, 2, 1)
    assert second != first
    assert await engine.published(job) == ["result"]


async def test_a_worker_killed_from_outside(engine: Any, kill_process: Any) -> None:
    await engine.deploy()
    await engine.warm_up()
    worker = await engine.run("os.getpid()")
    gate = engine.gate()
    job_id = await engine.submit(f"{gate.code} or os.getpid()")
    neighbours = [await engine.submit(str(number)) for number in range(3)]
    await gate.reached()
    await kill_process(worker)
    await gate.reached()
    gate.open()
    assert await engine.value(job_id) != worker
    assert [await engine.value(one) for one in neighbours] == [0, 1, 2]
    assert (await engine.ended(job_id)).deaths == 1
    assert [((await engine.ended(one)).attempt, (await engine.ended(one)).deaths) for one in neighbours] == [(1, 0)] * 3


async def test_a_poison_job_fails_after_its_deaths_and_the_others_finish(clock: Any, engine: Any) -> None:
    await engine.deploy()
    await engine.warm_up()
    jobs = [await engine.submit(code) for code in ("1", "os._exit(9)", "2", "3")]
    poisoned = await engine.ended(jobs.pop(1))
    assert (poisoned.state, poisoned.deaths, poisoned.attempt) == (JobState.FAILED, WORKER_DEATHS_MAX, 3)
    assert poisoned.failure["error_type"] == "worker_crashed"
    assert poisoned.failure["details"]["exit_code"] == 9
    assert await engine.published(poisoned) == ["failure"]
    assert [await engine.value(one) for one in jobs] == [1, 2, 3]
    assert {(await engine.ended(one)).deaths for one in jobs} == {0}
    assert (await engine.deployer.endpoint("e")).status is EndpointStatus.IN_SERVICE


FAILING = [
    ("1 / 0", "handler_error", "division by zero"),
    ("fail(OwnError('no light'))", "too_dark", "no light"),
    ("sys.exit(3)", "handler_exited", "sys.exit(3)"),
    ("fail(KeyboardInterrupt())", "handler_error", "KeyboardInterrupt"),
    ("object()", "output_not_serialisable", "value"),
    ("float('nan')", "output_not_serialisable", "value"),
    ("fail(ValueError(chr(0xDCFF) + chr(0)))", "handler_error", ""),
    ("fail(ValueError('x' * 100_000))", "handler_error", "xxx"),
]


async def test_a_handler_that_fails_costs_no_worker(engine: Any) -> None:
    await engine.deploy()
    worker = await engine.run("os.getpid()")
    for code, error_type, said in FAILING:
        job = await engine.ended(await engine.submit(code))
        assert (job.state, job.attempt, job.deaths) == (JobState.FAILED, 1, 0)
        assert job.failure["error_type"] == error_type
        assert said in job.failure["message"]
        assert json.loads(await engine.read(job.output.failure)) == job.failure
        assert await engine.run("os.getpid()") == worker


async def test_an_answer_that_breaks_its_contract_is_never_a_result(engine: Any) -> None:
    package = engine.package(
        {
            "seatrial.toml": """\
                [package]
                handler = "odd:odd"
                [tasks.odd.input.number]
                type = "integer"
                required = true
                [tasks.odd.output]
                media_type = "application/json"
                schema = { required = ["odd"] }
                [[tasks.odd.samples]]
                input = "one.json"
                """,
            "one.json": '{"number": 1}',
            "odd.py": "def odd(number):\n    return {'odd': number} if number % 2 else {}\n",
        }
    )
    await engine.deploy(package)
    job = await engine.ended(await engine.submit(body=b'{"number": 2}'))
    assert job.failure["error_type"] == "output_contract"
    assert "odd" in job.failure["message"]
    assert await engine.published(job) == ["failure"]


async def test_a_result_whose_bucket_is_gone(engine: Any) -> None:
    await engine.objects.create_bucket("results")
    await engine.deploy(output_prefix=ObjectName("results", "out/"))
    gate = engine.gate()
    running = await engine.submit(gate.code)
    await gate.reached()
    await engine.objects.delete_bucket("results")
    with pytest.raises(BadInput) as refused:
        await engine.submit("1")
    assert refused.value.error_type == "output_bucket_missing"
    gate.open()
    job = await engine.ended(running)
    assert (job.state, job.failure["error_type"]) == (JobState.FAILED, "publish_failed")
    assert job.failure["details"]["remedy"]
    await engine.objects.create_bucket("results")
    assert await engine.run("1") == 1


# ---------------------------------------------------------------------- crash loops


async def test_workers_that_keep_dying_take_the_endpoint_out_of_service(clock: Any, make_engine: Any) -> None:
    engine = await make_engine(worker_deaths_max=1)
    await engine.deploy()
    jobs = [await engine.submit("os._exit(9)") for _ in range(RESTARTS_PER_WINDOW_MAX + 3)]
    endpoint = await engine.until(lambda one: one.status is EndpointStatus.FAILED)
    assert endpoint.active_version is None
    assert endpoint.failure_reason.startswith("worker_crashed: Workers keep failing. ")
    assert "exit code 9" in endpoint.failure_reason
    assert engine.deployer.workers("e") == 0
    with pytest.raises(Conflict) as refused:
        await engine.submit("1")
    assert "exit code 9" in refused.value.message

    seen = [await engine.inspector.job(one) for one in jobs]
    failed, waiting = seen[: RESTARTS_PER_WINDOW_MAX + 1], seen[RESTARTS_PER_WINDOW_MAX + 1 :]
    assert {(one.state, one.deaths) for one in failed} == {(JobState.FAILED, 1)}
    assert {(one.state, one.deaths) for one in waiting} == {(JobState.QUEUED, 0)}
    await engine.update(engine.package({**HARMLESS, "samples/one.json": '{"code": "1"}'}))
    assert (await engine.settled()).status is EndpointStatus.IN_SERVICE
    assert [await engine.value(one.id) for one in waiting] == ["os._exit(9)"] * 2, "the rest waited for the update"


async def test_a_few_poison_jobs_do_not_cost_the_endpoint_its_service(clock: Any, make_engine: Any) -> None:
    """However often each of them kills its worker, it is one reason."""
    engine = await make_engine(worker_deaths_max=3)
    await engine.deploy()
    poison = [await engine.submit("os._exit(9)") for _ in range(2)]
    sound = [await engine.submit("1") for _ in range(3)]
    assert [await engine.value(one) for one in sound] == [1, 1, 1]
    seen = [await engine.inspector.job(one) for one in poison]
    assert [one.failure["error_type"] for one in seen] == ["worker_crashed"] * 2
    assert sum(one.deaths for one in seen) > RESTARTS_PER_WINDOW_MAX
    assert (await engine.deployer.endpoint("e")).status is EndpointStatus.IN_SERVICE


HARMLESS = {
    "code/inference.py": "def model_fn(d): pass\ndef predict_fn(data, model): return {'value': data['code']}",
}


async def test_a_worker_that_dies_while_it_is_idle_counts_too(clock: Any, engine: Any, until_vanished: Any) -> None:
    gate = engine.gate()
    fall = f"threading.Thread(target=lambda: os._exit(len({gate.code}))).start()"
    await engine.deploy(env={"WHILE_LOADING": fall})
    for _ in range(RESTARTS_PER_WINDOW_MAX + 1):
        await gate.reached()
        worker = await engine.run("os.getpid()")
        gate.open()
        await until_vanished(worker)
    endpoint = await engine.until(lambda one: one.status is EndpointStatus.FAILED)
    assert "Workers keep failing" in endpoint.failure_reason


async def test_loads_that_fail_after_a_long_time_count_too(clock: Any, engine: Any) -> None:
    """Each load may take longer than the window in which restarts are counted."""
    notice = await engine.notice()
    await engine.deploy(env={"WHILE_LOADING": f"{notice.code} and fail(OSError('no device'))"})
    notice.says = "broken"
    await engine.kill_worker()
    slow = asyncio.create_task(_let_hours_pass(clock))
    endpoint = await engine.until(lambda one: one.status is EndpointStatus.FAILED)
    slow.cancel()
    assert "no device" in endpoint.failure_reason


async def test_a_worker_too_many_does_not_cost_the_others_their_place(clock: Any, engine: Any) -> None:
    """It may be the memory: the second one never loads, and the first one serves."""
    notice = await engine.notice()
    await engine.deploy(env={"WHILE_LOADING": f"{notice.code} and fail(MemoryError(print('no room', flush=True)))"})
    notice.says = "full"
    await engine.deployer.scale("e", 2)
    async with asyncio.timeout(30):
        while (await engine.lines()).count("no room") <= RESTARTS_PER_WINDOW_MAX + 2:
            assert await engine.run("1") == 1
    notice.says = ""
    await engine.ready(2)
    assert (await engine.deployer.endpoint("e")).status is EndpointStatus.IN_SERVICE


async def _let_hours_pass(clock: Any) -> None:
    while True:
        clock.ahead_ms += 600_000
        await asyncio.sleep(0.02)


async def test_a_sample_that_nobody_can_begin_ends_the_trial(clock: Any, engine: Any) -> None:
    """The workers load, and die before they come to the sample."""
    inference = """\
        import os, threading

        def model_fn(model_dir):
            threading.Timer(0.001, os._exit, (3,)).start()

        def predict_fn(data, model):
            threading.Event().wait()
        """
    await engine.create(engine.package({"code/inference.py": inference, "samples/any.json": "{}"}))
    endpoint = await engine.settled()
    assert endpoint.status is EndpointStatus.FAILED
    assert "exit code 3" in endpoint.failure_reason


async def test_the_memory_of_a_job_is_kept_and_shown(engine: Any) -> None:
    await engine.deploy(memory_growth_bytes_max=200_000_000)
    passing = await engine.ended(await engine.submit("len(b'x' * 100_000_000)"))
    failing = await engine.ended(await engine.submit("[globals().update(kept=b'x' * 50_000_000), 1 / 0]"))
    assert passing.memory.peak_bytes > 100_000_000
    assert failing.memory.growth_bytes > 40_000_000
    assert JobView.of(failing).memory.growth_bytes == failing.memory.growth_bytes
    worker = await engine.run("os.getpid()")
    await engine.run("globals().update(kept=b'x' * 300_000_000)")
    assert await engine.run("os.getpid()") != worker, "it has grown too far, and was replaced"
    assert [one for one in await engine.lines() if one.startswith("[seatrial] the worker is replaced: its memory has")]
    assert (await engine.deployer.endpoint("e")).status is EndpointStatus.IN_SERVICE


async def test_a_worker_that_dies_while_loading_has_three_starts(engine: Any) -> None:
    inference = """\
        import os

        def model_fn(model_dir):
            print("loading", flush=True)
            os._exit(3)

        def predict_fn(data, model):
            return data
        """
    await engine.create(engine.package({"code/inference.py": inference, "samples/one.json": "{}"}))
    endpoint = await engine.settled()
    assert endpoint.status is EndpointStatus.FAILED
    assert "exit code 3" in endpoint.failure_reason
    assert "Remedy: " in endpoint.failure_reason
    assert (await engine.lines()).count("loading") == 3
