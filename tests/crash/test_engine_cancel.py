"""Cancelling: the word is only said once the work is really gone, and nobody else pays for it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from seatrial.adapters.processes.descendants import look_at
from seatrial.domain.endpoint import EndpointStatus
from seatrial.domain.errors import Conflict, NotFound
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.objects import ObjectName


def alive(pid: int) -> bool:
    process = look_at(pid)
    return process is not None and not process.is_dead


async def test_a_queued_job_is_cancelled_at_once(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    busy = await engine.submit(gate.code + " or os.getpid()")
    await gate.reached()
    waiting = await engine.submit("2")
    job = await engine.canceller.cancel(waiting)
    assert (job.state, job.attempt) == (JobState.CANCELLED, 0)
    assert await engine.published(job) == ["failure"]
    document = json.loads(await engine.read(job.output.failure))
    assert (document["status"], document["error_type"]) == ("error", "cancelled")
    gate.open()
    assert alive(await engine.value(busy)), "the worker had nothing to do with it"


@pytest.mark.parametrize("started", ["child()", "daemon()"])
async def test_a_running_job_is_cancelled_once_every_process_is_gone(engine: Any, started: str) -> None:
    await engine.deploy()
    worker, offspring = await engine.run(f"[os.getpid(), {started}]")
    assert alive(worker)
    assert alive(offspring)
    gate = engine.gate()
    job_id = await engine.submit(gate.code)
    await gate.reached()
    seen: list[list[bool]] = []

    async def look() -> None:
        changes = engine.inspector.follow(job_id)
        seen.extend([[alive(worker), alive(offspring)] async for job in changes if job.state is JobState.CANCELLED])

    looking = asyncio.create_task(look())
    job = await engine.canceller.cancel(job_id)
    await looking
    assert job.state is JobState.CANCELLED
    assert seen == [[False, False]]
    assert await engine.published(job) == ["failure"]
    assert await engine.run("os.getpid()") != worker


async def behind(engine: Any, gate: Any) -> tuple[str, list[str]]:
    """A job at the gate, and three short ones that have been sent to its worker ahead."""
    await engine.deploy()
    await engine.warm_up()
    job_id = await engine.submit(gate.code)
    neighbours = [await engine.submit(str(number)) for number in range(3)]
    await gate.reached()
    return job_id, neighbours


async def taken(engine: Any, job_id: str) -> None:
    """Wait until a worker has it."""
    async for job in engine.inspector.follow(job_id):
        if job.state is JobState.RUNNING:
            return


async def states(engine: Any, jobs: list[str]) -> list[JobState]:
    return [(await engine.inspector.job(one)).state for one in jobs]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is sent ahead however busy this machine is, and stays with its worker however long the job before takes."""
    monkeypatch.setattr("seatrial.engine.ahead.PREFETCH_HORIZON_MS", 3_600_000)
    monkeypatch.setattr("seatrial.engine.runner.WITHDRAW_AFTER_MS", 3_600_000)


async def test_neighbours_in_the_same_worker_run_again_and_are_not_charged(engine: Any, patient: None) -> None:
    job_id, neighbours = await behind(engine, engine.gate())
    await asyncio.gather(*(taken(engine, one) for one in neighbours))
    await engine.canceller.cancel(job_id)
    assert [await engine.value(one) for one in neighbours] == [0, 1, 2]
    ended = [await engine.ended(one) for one in neighbours]
    assert [(one.attempt, one.deaths) for one in ended] == [(1, 0)] * 3


async def test_work_that_was_sent_ahead_is_cancelled_without_touching_the_process(engine: Any, patient: None) -> None:
    gate = engine.gate()
    running, neighbours = await behind(engine, gate)
    async with asyncio.timeout(30):
        job = await engine.canceller.cancel(neighbours[1])
    assert (job.state, job.attempt, await engine.published(job)) == (JobState.CANCELLED, 1, ["failure"])
    gate.open()
    assert [await engine.value(one) for one in (neighbours[0], neighbours[2])] == [0, 2]
    ended = [await engine.ended(one) for one in (running, neighbours[0], neighbours[2])]
    assert [(one.attempt, one.deaths) for one in ended] == [(1, 0)] * 3
    assert (await engine.ended(running)).state is JobState.SUCCEEDED


async def test_short_jobs_behind_a_long_one_go_to_a_worker_that_is_free(engine: Any) -> None:
    """Also where the handler keeps the interpreter to itself and could not answer anybody."""
    await engine.deploy(workers=2)
    await engine.ready(2)
    await asyncio.gather(*(engine.warm_up() for _ in range(4)))
    hoarding = engine.gate()
    jobs = [await engine.submit(f"{hoarding.code} or re.match('(a+)+b', 'a' * 29)")]
    jobs += [await engine.submit(f"[os.getpid(), {number}]") for number in range(40)]
    async with asyncio.timeout(60):
        values = [await engine.value(one) for one in jobs[1:]]
    assert [number for _, number in values] == list(range(40))
    assert (await engine.inspector.job(jobs[0])).state is JobState.RUNNING
    assert {((await engine.ended(one)).attempt, (await engine.ended(one)).deaths) for one in jobs[1:]} == {(1, 0)}
    hoarding.open()


LISTENING = {
    "seatrial.toml": """\
        [package]
        handler = "listening:Listening"
        [tasks.do.input.port]
        type = "integer"
        [tasks.do.input.leave]
        type = "string"
        [[tasks.do.samples]]
        input = "sample.json"
        """,
    "sample.json": "{}",
    "listening.py": """\
        import os, socket, subprocess, time

        class Listening:
            def do(self, context, port=0, leave=""):
                if port:
                    context.cancelled
                    self.gate = socket.create_connection(("127.0.0.1", port))
                if leave:
                    subprocess.Popen(["sleep", "1000"], start_new_session=True)
                while port and not context.cancelled:
                    time.sleep(0.002)
                return {"value": os.getpid()}
        """,
}


@pytest.mark.parametrize("leave", ["", "a process"])
@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_a_handler_that_listens_keeps_its_worker_unless_it_left_something_behind(
    engine: Any, how: str, leave: str
) -> None:
    await engine.deploy(engine.package(LISTENING))
    worker = await engine.value(await engine.submit(body=b"{}"))
    for _ in range(20):
        await engine.value(await engine.submit(body=b"{}"))
    gate = engine.gate()
    body = json.dumps({"port": gate.port} | ({"leave": leave} if leave else {})).encode()
    job_id = await engine.submit(body=body, invocation_timeout_seconds=1 if how == "timeout" else 900)
    neighbours = [await engine.submit(body=b"{}") for _ in range(3)]
    await gate.reached()
    if how == "cancel":
        assert (await engine.canceller.cancel(job_id)).state is JobState.CANCELLED
    job = await engine.ended(job_id)
    assert job.failure["error_type"] == {"cancel": "cancelled", "timeout": "invocation_timeout"}[how]
    assert job.attempt == 1
    assert len(engine.worker_processes()) <= 1, "the one worker, or none yet"
    assert ((await engine.value(neighbours[0])) == worker) is (not leave)
    assert [((await engine.ended(one)).attempt, (await engine.ended(one)).deaths) for one in neighbours] == [(1, 0)] * 3


async def test_what_waits_behind_a_long_job_is_queued_again(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its place, its time to live and everything: nobody has begun with it."""
    monkeypatch.setattr("seatrial.engine.ahead.PREFETCH_HORIZON_MS", 3_600_000)
    await engine.deploy()
    await engine.warm_up()
    gate = engine.gate()
    running = await engine.submit(gate.code)
    neighbours = [await engine.submit(str(number)) for number in range(3)]
    await asyncio.gather(gate.reached(), *(taken(engine, one) for one in neighbours))
    async with asyncio.timeout(60):
        while await states(engine, neighbours) != [JobState.QUEUED] * 3:  # noqa: ASYNC110  a release is not told of
            await asyncio.sleep(0.02)
    assert [(await engine.inspector.job(one)).attempt for one in neighbours] == [0] * 3
    gate.open()
    assert [await engine.value(one) for one in neighbours] == [0, 1, 2]
    assert (await engine.ended(running)).attempt == 1


async def test_what_has_ended_cannot_be_cancelled(engine: Any) -> None:
    await engine.deploy()
    job_id = await engine.submit("1")
    await engine.value(job_id)
    before = await engine.ended(job_id)
    with pytest.raises(Conflict) as refused:
        await engine.canceller.cancel(job_id)
    assert refused.value.error_type == "job_already_ended"
    assert await engine.ended(job_id) == before
    with pytest.raises(NotFound):
        await engine.canceller.cancel("no such job")


async def test_two_who_cancel_the_same_running_job(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    job_id = await engine.submit(gate.code)
    await gate.reached()
    first, second = await asyncio.gather(*(engine.canceller.cancel(job_id) for _ in range(2)))
    assert first.state is second.state is JobState.CANCELLED
    assert await engine.run("1") == 1


async def test_a_cancel_that_races_with_the_end_has_one_outcome(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    outcomes: list[JobState] = []
    for number in range(12):
        job_id = await engine.submit(gate.code + " or 1")
        await gate.reached()
        gate.open()
        for _ in range(number):  # a little later each time
            await asyncio.sleep(0)
        try:
            job: Job = await engine.canceller.cancel(job_id)
            assert job.state is JobState.CANCELLED
        except Conflict:
            job = await engine.ended(job_id)
            assert job.state is JobState.SUCCEEDED
        outcomes.append(job.state)
        assert await engine.ended(job_id) == job
        assert await engine.published(job) == ["result" if job.state is JobState.SUCCEEDED else "failure"]
    assert JobState.CANCELLED in outcomes
    assert await engine.run("1") == 1


@pytest.mark.parametrize(
    ("code", "worker_lives"),
    [("os.getpid()", True), ("child()", False), ("daemon()", False), ("threading.Timer(99, print).start()", False)],
)
async def test_a_cancel_after_the_answer_waits_for_what_the_job_left_behind(
    engine: Any, monkeypatch: pytest.MonkeyPatch, code: str, worker_lives: bool
) -> None:
    """The answer is there and being stored. What earlier jobs left behind is not this one's."""
    monkeypatch.setattr("seatrial.engine.runner.WORKER_STOP_GRACE_SECONDS", 0.1)
    await engine.deploy()
    worker = await engine.run("[child(), os.getpid(), signal.signal(signal.SIGTERM, signal.SIG_IGN)][1]")
    await asyncio.sleep(0.02)  # two ticks of the kernel's clock of processes
    processes = engine.worker_processes()
    staging, go_on, stage = asyncio.Event(), asyncio.Event(), engine.objects.stage

    async def slowly(*given: Any) -> Any:
        staging.set()
        await go_on.wait()
        return await stage(*given)

    monkeypatch.setattr(engine.objects, "stage", slowly)
    job_id = await engine.submit(code)
    await staging.wait()
    cancelling = asyncio.create_task(engine.canceller.cancel(job_id))
    while not (await engine.inspector.job(job_id)).cancel_requested:  # noqa: ASYNC110  a wish is not told of
        await asyncio.sleep(0)
    go_on.set()
    assert (await engine.ended(job_id)).state is JobState.CANCELLED
    assert alive(worker) == worker_lives
    if not worker_lives:
        assert not set(engine.worker_processes()) & set(processes)
    await cancelling


async def test_a_job_of_the_version_that_is_on_its_way_out(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    job_id = await engine.submit(gate.code)
    await gate.reached()
    await engine.update()
    updated = await engine.until(lambda one: one.status is EndpointStatus.IN_SERVICE)
    assert updated.active_version is not None
    async with asyncio.timeout(30):
        job = await engine.canceller.cancel(job_id)
    assert job.state is JobState.CANCELLED


async def test_a_sample_of_a_trial(engine: Any) -> None:
    gate = engine.gate()
    inference = f"""\
        import socket

        def model_fn(model_dir):
            pass

        def predict_fn(data, model):
            return socket.create_connection(("127.0.0.1", {gate.port})).recv(1).decode()
        """
    package = engine.package({"code/inference.py": inference, "samples/any.json": "{}"})
    await engine.create(package)
    await gate.reached()
    (job,) = await engine.jobs(purpose=None)
    async with asyncio.timeout(30):
        cancelled = await engine.canceller.cancel(job.id)
    assert cancelled.state is JobState.CANCELLED
    endpoint = await engine.settled()
    assert endpoint.status is EndpointStatus.FAILED
    assert "cancelled" in endpoint.failure_reason


@pytest.fixture
def silent_url() -> Iterator[tuple[str, socket.socket]]:
    """A URL whose server takes the connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/picture", listener


FETCHING = {
    "seatrial.toml": """\
        [package]
        handler = "size:size"
        [tasks.size.input.file]
        type = "file"
        required = true
        form = "bytes"
        [[tasks.size.samples]]
        input = "sample.json"
        """,
    "sample.json": '{"file": "data:;base64,AAAA"}',
    "size.py": "def size(file):\n    return {'value': len(file)}\n",
}


async def test_a_job_whose_input_does_not_come(make_engine: Any, silent_url: Any) -> None:
    engine = await make_engine(allow_private_urls=True)
    url, listener = silent_url
    await engine.deploy(engine.package(FETCHING))
    job_id = await engine.submit(body=json.dumps({"file": url}).encode())
    connection, _ = await asyncio.to_thread(listener.accept)
    with connection:
        async with asyncio.timeout(30):
            job = await engine.canceller.cancel(job_id)
    assert (job.state, job.attempt) == (JobState.CANCELLED, 1)
    assert await engine.value(await engine.submit(body=b'{"file": "data:;base64,AAAA"}')) == 3


async def test_deleting_an_endpoint_whose_input_does_not_come(make_engine: Any, silent_url: Any) -> None:
    """The fetch goes on for a minute; the endpoint does not wait for it."""
    engine = await make_engine(allow_private_urls=True)
    url, listener = silent_url
    await engine.deploy(engine.package(FETCHING))
    job_id = await engine.submit(body=json.dumps({"file": url}).encode())
    connection, _ = await asyncio.to_thread(listener.accept)
    with connection:
        async with asyncio.timeout(30):
            await engine.deployer.delete("e")
            await engine.gone()
    job = await engine.ended(job_id)
    assert job.failure["error_type"] == "endpoint_deleted"
    assert job.output.failure == ObjectName("seatrial-results", job.output.failure.key)
