"""The life of a job, through the engine itself: real store, real objects, real workers."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest

from seatrial.domain.credentials import EVERYTHING
from seatrial.domain.errors import BadInput, Busy, Conflict, NotFound
from seatrial.domain.jobs import JobPurpose, JobState
from seatrial.domain.limits import ROW_INLINE_BYTES_MAX
from seatrial.domain.objects import ObjectName
from seatrial.engine.submission import Submission
from seatrial.engine.submit import INPUTS_BUCKET, RESULTS_BUCKET

BUCKET = "things"


async def put(engine: Any, key: str, content: bytes) -> ObjectName:
    if BUCKET not in [one.name for one in await engine.objects.buckets()]:
        await engine.objects.create_bucket(BUCKET)
    name = ObjectName(BUCKET, key)
    sealed = await engine.objects.stage(content, len(content))
    await engine.objects.reveal(sealed, name, "application/json", {})
    return name


@pytest.mark.parametrize("package", ["obedient", "obedient_sagemaker"])
async def test_from_submission_to_result(engine: Any, package: str) -> None:
    await engine.deploy(package)
    accepted = await engine.accept("6 * 7")
    job = await engine.ended(accepted.job_id)
    assert (job.state, job.attempt, job.deaths) == (JobState.SUCCEEDED, 1, 0)
    assert job.submitted_at_ms <= job.started_at_ms <= job.ended_at_ms <= job.decide_by_ms
    assert job.output == accepted.output
    assert await engine.published(job) == ["result"]
    content = await engine.read(job.output.result)
    assert json.loads(content) == {"value": 42}
    (part,) = job.parts
    assert (part.size_bytes, part.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert job.output.result.key.removesuffix(".out") == job.output.failure.key.removesuffix("-error.out")
    assert job.id not in job.output.result.key


async def test_a_violation_is_an_error_of_the_call_or_of_the_job(engine: Any) -> None:
    await engine.deploy()
    body = json.dumps({"code": 7}).encode()
    with pytest.raises(BadInput) as refused:
        await engine.accept(body=body, check_now=True)
    assert (refused.value.error_type, refused.value.field) == ("invalid_field", "code")
    assert await engine.jobs() == []

    job = await engine.ended(await engine.submit(body=body))
    assert job.state is JobState.FAILED
    assert (job.failure["error_type"], job.failure["details"]["field"]) == ("invalid_field", "code")
    assert await engine.published(job) == ["failure"]
    assert json.loads(await engine.read(job.output.failure)) == job.failure
    assert await engine.run("1 + 1") == 2


async def test_an_input_by_reference_is_pinned(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    busy = await engine.submit(gate.code)
    await gate.reached()
    kept, changed, removed = [await put(engine, key, b'{"code": "5"}') for key in ("kept", "changed", "removed")]
    jobs = [await engine.submit(object=name, body=None) for name in (kept, changed, removed)]
    await put(engine, "changed", b'{"code": "6"}')
    await engine.objects.delete(removed)
    gate.open()
    await engine.value(busy)
    assert await engine.value(jobs[0]) == 5
    failures = [(await engine.ended(job_id)).failure for job_id in jobs[1:]]
    assert [failure["error_type"] for failure in failures] == ["input_changed", "input_not_found"]
    assert failures[0]["details"]["field"] == "input"


async def test_an_input_that_is_not_there_is_refused_at_submission(engine: Any) -> None:
    await engine.deploy()
    for name in (ObjectName(RESULTS_BUCKET, "not there"), ObjectName("no-such-bucket", "a")):
        with pytest.raises(BadInput) as refused:
            await engine.submit(object=name, body=None)
        assert refused.value.error_type == "input_not_found"
        assert name.uri in refused.value.message


async def test_one_idempotency_key_is_one_job(engine: Any) -> None:
    await engine.deploy()
    first, second = await asyncio.gather(*(engine.accept("1", idempotency_key="k") for _ in range(2)))
    assert first.job_id == second.job_id
    assert sorted([first.existing, second.existing]) == [False, True]
    assert first.output == second.output
    await engine.ended(first.job_id)
    again = await engine.accept("1", idempotency_key="k")
    assert (again.job_id, again.existing, again.output) == (first.job_id, True, first.output)

    with pytest.raises(Conflict) as refused:
        await engine.accept("2", idempotency_key="k")
    assert refused.value.error_type == "idempotency_conflict"
    assert first.job_id in refused.value.message
    assert len(await engine.jobs()) == 1
    other_door = Submission("e", "owner", EVERYTHING, "another", body=b'{"code": "1"}', idempotency_key="k")
    assert (await engine.submitter.submit(other_door)).job_id != first.job_id


async def test_a_refused_request_leaves_no_object_behind(engine: Any) -> None:
    """A body too large for the row is an object first; without a job nobody would ever remove it."""
    await engine.deploy(queue_depth_max=1)
    long = repr("x" * ROW_INLINE_BYTES_MAX)
    gate = engine.gate()
    held = await engine.submit(f"{gate.code} or len({long})", idempotency_key="k")
    again = await engine.accept(f"{gate.code} or len({long})", idempotency_key="k")
    assert (again.job_id, again.existing) == (held, True)
    with pytest.raises(Conflict):
        await engine.submit(f"len({long})", idempotency_key="k")
    with pytest.raises(Busy):
        await engine.submit(f"len({long})")
    kept = await engine.objects.list(INPUTS_BUCKET)
    assert [info.name.key for info in kept.objects] == [f"e/{held}"]
    await gate.reached()
    gate.open()
    assert await engine.value(held) == ROW_INLINE_BYTES_MAX


async def test_a_chosen_name_is_reserved_until_its_job_has_ended(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    held = await engine.accept(gate.code + " or 1", result_filename="plan.json", result_extension="today")
    assert held.output.result == ObjectName(RESULTS_BUCKET, "e/today/plan.json")
    assert held.output.failure == ObjectName(RESULTS_BUCKET, "e/today/plan-error.json")
    for taken in ("plan.json", "plan-error.json"):
        with pytest.raises(Conflict) as refused:
            await engine.accept("2", result_filename=taken, result_extension="today")
        assert refused.value.error_type == "output_name_taken"
        assert held.job_id in refused.value.message
    await gate.reached()
    gate.open()
    first = await engine.ended(held.job_id)

    second = await engine.ended(await engine.submit("2", result_filename="plan.json", result_extension="today"))
    assert second.output.result == first.output.result
    assert json.loads(await engine.read(first.output.result)) == {"value": 2}
    assert first.parts[0].sha256 != second.parts[0].sha256, "the first one's result is superseded, and says so"


async def test_a_name_that_no_object_can_have_is_refused(engine: Any) -> None:
    await engine.deploy()
    for chosen in (".", "..", "a/..", "/a", "x" * 1_020, "ü" * 600):
        with pytest.raises(BadInput) as refused:
            await engine.accept("1", result_filename=chosen)
        assert (refused.value.error_type, refused.value.field) == ("invalid_field", "result_filename")
    assert await engine.jobs() == []


async def test_a_full_queue_says_so(engine: Any) -> None:
    await engine.deploy(queue_depth_max=2)
    gate = engine.gate()
    jobs = [await engine.submit(gate.code + " or 1"), await engine.submit("2")]
    with pytest.raises(Busy) as refused:
        await engine.submit("3")
    assert refused.value.error_type == "queue_full"
    assert refused.value.retry_after_seconds > 0
    assert "2 of 2" in refused.value.message
    await gate.reached()
    gate.open()
    assert [await engine.value(job_id) for job_id in jobs] == [1, 2]
    assert await engine.run("3") == 3


async def test_a_job_that_nobody_begins_in_time_is_published_as_a_failure(clock: Any, engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    busy = await engine.submit(gate.code + " or 1")
    await gate.reached()
    waiting, patient = await engine.submit("2", queue_ttl_seconds=60), await engine.submit("3", queue_ttl_seconds=61)
    clock.ahead_ms += 59_000
    assert await engine.reaper.reap() == 0
    clock.ahead_ms += 1_500
    assert await engine.reaper.reap() == 1
    job = await engine.ended(waiting)
    assert job.failure["error_type"] == "queue_ttl_expired"
    assert "60 seconds" in job.failure["message"]
    assert json.loads(await engine.read(job.output.failure)) == job.failure
    gate.open()
    assert await engine.value(busy) == 1
    assert await engine.value(patient) == 3


async def test_time_spent_running_is_not_time_in_the_queue(clock: Any, engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    running = await engine.submit(gate.code + " or 1", queue_ttl_seconds=1)
    await gate.reached()
    clock.ahead_ms += 5_000
    assert await engine.reaper.reap() == 0
    gate.open()
    assert await engine.value(running) == 1


async def test_higher_priority_first_then_older(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    await engine.submit(gate.code)
    await gate.reached()
    asked = [9, 5, 0, 5, 9, 0]
    jobs = [await engine.submit("time.monotonic_ns()", priority=priority) for priority in asked]
    gate.open()
    began = [await engine.value(job_id) for job_id in jobs]
    in_order = sorted(range(len(asked)), key=began.__getitem__)
    assert in_order == sorted(range(len(asked)), key=lambda index: (asked[index], index))


async def test_the_highest_priority_is_not_out_of_range(engine: Any) -> None:
    await engine.deploy()
    for priority in (-1, 10):
        with pytest.raises(BadInput) as refused:
            await engine.submit("1", priority=priority)
        assert refused.value.field == "priority"


async def test_a_retry_is_a_new_job(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    old = await engine.submit(gate.code + " or 1", priority=2)
    await gate.reached()
    with pytest.raises(Conflict) as refused:
        await engine.submitter.retry(old)
    assert refused.value.error_type == "job_not_ended"
    await engine.canceller.cancel(old)
    again = await engine.submitter.retry(old)
    assert again.job_id != old
    await gate.reached()
    gate.open()
    job = await engine.ended(again.job_id)
    first = await engine.ended(old)
    assert (job.state, job.retry_of, job.priority, job.purpose) == (JobState.SUCCEEDED, old, 2, JobPurpose.CLIENT)
    assert job.output.result != first.output.result
    assert first.state is JobState.CANCELLED
    with pytest.raises(NotFound):
        await engine.submitter.retry("no such job")


async def test_an_endpoint_that_is_not_in_service_takes_no_jobs(engine: Any) -> None:
    with pytest.raises(NotFound):
        await engine.submit("1")
    gate = engine.gate()
    await engine.create(env={"WHILE_LOADING": gate.code})
    await gate.reached()
    with pytest.raises(Busy) as refused:
        await engine.submit("1")
    assert refused.value.error_type == "endpoint_not_in_service"
    assert "Creating" in refused.value.message
    gate.open()
    assert (await engine.settled()).status == "InService"
    assert await engine.run("1") == 1
