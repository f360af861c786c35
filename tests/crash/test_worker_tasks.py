"""A RunPod handler with a concurrency_modifier in a real worker process, run by the real SDK: jobs are its tasks."""

import asyncio
import json
from typing import Any

import pytest

from seatrial.domain.work import HandlerFailed, LoadFailed, WorkerDied, WorkTimedOut

HANDLER = """
    import asyncio, logging, os, signal, sys, runpod

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    SAYS = {"now": int(os.environ.get("AT_ONCE", "3"))}
    MET = asyncio.Event()
    HERE = []


    async def meet(many):
        HERE.append(1)
        if len(HERE) == many:
            MET.set()
        await MET.wait()
        HERE.pop()
        if not HERE:
            MET.clear()


    async def handler(job):
        given = job["input"]
        name = given.get("name")
        print("begins", name, end="")
        sys.stdout.write("\\n")
        if given.get("stays"):
            try:
                await asyncio.sleep(600)
            finally:
                print("stops", name)
        if "meet" in given:
            runpod.serverless.progress_update(job, {"at": name})
            await meet(given["meet"])
        logging.warning("warns %s", name)
        await asyncio.to_thread(print, "from a thread", name)
        os.write(1, b"nobody's\\n")
        if "says" in given:
            SAYS["now"] = given["says"]
        if given.get("do") == "raise":
            raise ValueError(name)
        if given.get("do") == "leave":
            sys.exit(3)
        if given.get("do") == "refresh":
            return {"refresh_worker": True, "pid": os.getpid()}
        if given.get("do") == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        print("ends", name, end="")
        return {"name": name, "pid": os.getpid()}


    def modifier(now):
        if SAYS["now"] == "fail":
            raise RuntimeError("no number today")
        return SAYS["now"]


    runpod.serverless.start({"handler": handler, "concurrency_modifier": modifier})
"""
STREAM = """
    import asyncio, runpod

    MET = asyncio.Event()
    HERE = []


    async def handler(job):
        for n in range(2):
            yield [job["input"], n]
            HERE.append(n)
            if len(HERE) == 2:
                MET.set()
            await MET.wait()


    runpod.serverless.start({"handler": handler, "concurrency_modifier": lambda now: 2})
"""
SYNC = """
    import runpod
    runpod.serverless.start({"handler": lambda job: job["input"], "concurrency_modifier": lambda now: 4})
"""

SLOW = pytest.mark.slow  # each starts a process that imports the SDK; the quick suite has what matters most


async def serving(yard: Any, code: str = HANDLER, **more: Any) -> Any:
    worker = await yard.start(yard.spec("runpod", {"handler.py": code}, **more))
    await worker.load()
    return worker


def asked(yard: Any, timeout_ms: int = 20_000, **given: Any) -> Any:
    return yard.work(body=json.dumps(given).encode(), timeout_ms=timeout_ms)


async def outcomes(worker: Any, *works: Any) -> list[Any]:
    return list(await asyncio.gather(*map(worker.run, works), return_exceptions=True))


async def test_jobs_meet_in_one_process_and_each_has_its_own(yard: Any) -> None:
    worker = await serving(yard)
    assert worker.slots == 3
    told: dict[str, Any] = {}
    worker.on_told(lambda token, what, data: told.update({token: (what, json.loads(data))}))
    works = [asked(yard, name=name, meet=3, do=do) for name, do in (("a", ""), ("b", "raise"), ("c", "leave"))]
    first, second, third = await outcomes(worker, *works)
    assert json.loads(first.body) == {"name": "a", "pid": worker.pid}
    assert isinstance(second, HandlerFailed)
    assert second.failure.message == "b"
    assert "handler.py" in str(second.failure.details["traceback"])
    assert isinstance(third, HandlerFailed)
    assert third.failure.error_type == "handler_exited"
    assert told == {work.token: ("progress", {"at": name}) for work, name in zip(works, "abc", strict=True)}
    for work, name in zip(works, "abc", strict=True):
        lines = yard.logs.texts(work.job_id)
        assert {line.rpartition(" ")[2] for line in lines if line[:4] in ("begi", "from", "ends")} == {name}
        assert [line for line in lines if line.endswith(f" {name}") and "warns" not in line] == [
            f"begins {name}",
            f"from a thread {name}",
            *([f"ends {name}"] if name == "a" else []),
        ]
        assert [line for line in lines if "warns" in line and line.endswith(f"warns {name}")]
    assert "nobody's" in yard.logs.texts(None)
    again = await worker.run(asked(yard, name="d"))
    assert json.loads(again.body)["pid"] == worker.pid


async def test_streams_side_by_side(yard: Any) -> None:
    worker = await serving(yard, STREAM)
    told: dict[str, list[Any]] = {}
    worker.on_told(lambda token, what, data: told.setdefault(token, []).append(json.loads(data)))
    works = [asked(yard, n=n) for n in range(2)]
    for work, done in zip(works, await outcomes(worker, *works), strict=True):
        given = json.loads(work.body)
        assert json.loads(done.body) == told[work.token] == [[given, 0], [given, 1]]


async def test_one_is_stopped_and_its_neighbour_goes_on(yard: Any) -> None:
    worker = await serving(yard)
    stays, late = asked(yard, name="s", stays=True), asked(yard, name="l", stays=True, timeout_ms=300)
    neighbour = asked(yard, name="n", meet=2)
    running = {work.token: asyncio.create_task(worker.run(work)) for work in (stays, late, neighbour)}
    with pytest.raises(WorkTimedOut) as timed_out:
        await running[late.token]
    assert not timed_out.value.process_gone
    await worker.end(stays.token)
    assert running[stays.token].done()
    assert "stops s" in yard.logs.texts(stays.job_id)
    assert "stops l" in yard.logs.texts(late.job_id)
    await worker.run(asked(yard, name="m", meet=2))
    done = await running[neighbour.token]
    assert json.loads(done.body) == {"name": "n", "pid": worker.pid}
    await asyncio.gather(*running.values(), return_exceptions=True)


async def test_the_modifiers_number_is_heeded(yard: Any) -> None:
    worker = await serving(yard, env={"AT_ONCE": "1"})
    assert worker.slots == 1
    resized = asyncio.Event()
    worker.on_resized(resized.set)
    first, second = asked(yard, name="a", says=2, meet=1), asked(yard, name="b")
    assert [json.loads(one.body)["name"] for one in await outcomes(worker, first, second)] == ["a", "b"]
    async with asyncio.timeout(60):
        await resized.wait()
    assert worker.slots == 2
    await outcomes(worker, *(asked(yard, meet=2) for _ in range(2)))
    resized.clear()
    await worker.run(asked(yard, says=-5))
    async with asyncio.timeout(60):
        await resized.wait()
    assert worker.slots == 1
    await yard.logs.until(lambda line: line == "concurrency_modifier says -5: taken as 1, of 1 to 64")
    await worker.run(asked(yard, says="fail"))
    await yard.logs.until(lambda line: line == "RuntimeError: no number today")
    assert json.loads((await worker.run(asked(yard, name="z"))).body)["name"] == "z"


@SLOW
async def test_a_fresh_worker_once_the_neighbours_are_through(yard: Any) -> None:
    worker = await serving(yard)
    neighbour = asyncio.create_task(worker.run(asked(yard, name="n", stays=True, timeout_ms=300)))
    done = await worker.run(asked(yard, do="refresh"))
    assert json.loads(done.body) == {"pid": worker.pid}
    assert worker.recycled is not None
    with pytest.raises(WorkTimedOut) as late:
        await neighbour
    assert not late.value.process_gone
    failure = await worker.wait_gone()
    assert "exit_code" not in failure.details or failure.details["exit_code"] == 0


@SLOW
async def test_a_death_is_all_of_theirs(yard: Any) -> None:
    worker = await serving(yard)
    works = [asked(yard, name=name, meet=3, do=do) for name, do in (("a", ""), ("b", "die"), ("c", "die"))]
    ended = await outcomes(worker, *works, asked(yard, name="waits"))
    told = [(type(one), one.begun) for one in ended if isinstance(one, WorkerDied)]
    assert told.count((WorkerDied, True)) >= 2
    assert told.count((WorkerDied, False)) <= 1


@SLOW
async def test_a_handler_that_is_not_async_has_one_at_a_time(yard: Any) -> None:
    worker = await serving(yard, SYNC)
    assert worker.slots == 1
    assert any("not async" in line for line in yard.logs.texts(None))


@SLOW
async def test_a_modifier_that_says_no_number_is_a_failed_load(yard: Any) -> None:
    worker = await yard.start(
        yard.spec("runpod", {"handler.py": HANDLER.replace("return SAYS", "return str(1), SAYS")})
    )
    with pytest.raises(LoadFailed) as failed:
        await worker.load()
    assert "whole number of jobs at once" in failed.value.failure.message
