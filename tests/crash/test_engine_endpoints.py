"""Endpoints under everything that can happen to them at the same time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seatrial.domain.endpoint import EndpointStatus, StageState
from seatrial.domain.errors import BadInput, Busy, Conflict, NotFound
from seatrial.domain.jobs import JobState
from seatrial.domain.limits import LOAD_ATTEMPTS_MAX
from seatrial.engine.trial import Trial


def refusals(outcomes: list[Any]) -> list[str]:
    return [one.error_type for one in outcomes if isinstance(one, Conflict)]


async def at_once(*verbs: Any) -> list[Any]:
    return list(await asyncio.gather(*verbs, return_exceptions=True))


# ---------------------------------------------------------------------- at the same time


async def test_two_who_create_the_same_endpoint(engine: Any) -> None:
    outcomes = await at_once(engine.create(), engine.create())
    assert refusals(outcomes) == ["endpoint_exists"]
    assert (await engine.settled()).status is EndpointStatus.IN_SERVICE
    assert len(engine.worker_processes()) == 1


async def test_two_who_update_the_same_endpoint(engine: Any) -> None:
    await engine.deploy()
    outcomes = await at_once(engine.update(), engine.update())
    assert refusals(outcomes) == ["endpoint_busy"]
    await engine.until(lambda one: one.status is EndpointStatus.IN_SERVICE)
    assert [one.number for one in await engine.deployer.versions("e")] == [1, 2]
    assert await engine.run("1") == 1


async def test_two_who_delete_the_same_endpoint(engine: Any) -> None:
    await engine.deploy()
    await at_once(engine.deployer.delete("e"), engine.deployer.delete("e"))
    await engine.gone()
    await engine.deploy("obedient_sagemaker")
    assert engine.worker_processes()
    assert await engine.run("1") == 1


@pytest.mark.parametrize("turns", [0, 10, 30])
async def test_deleting_at_any_moment_of_an_update(engine: Any, turns: int) -> None:
    await engine.deploy()
    await engine.update()
    for _ in range(turns):
        await engine.deployer.wait("e", engine.deployer.heard("e"), 0.002)
    await engine.deployer.delete("e")
    await engine.gone()
    assert engine.worker_processes() == []
    await engine.deploy()
    assert await engine.run("1") == 1


async def test_scaling_while_a_new_version_takes_over(engine: Any) -> None:
    await engine.deploy()
    await engine.update(workers=2)
    await at_once(*(engine.deployer.scale("e", workers) for workers in (3, 1, 2)))
    await engine.until(lambda one: one.status is EndpointStatus.IN_SERVICE)
    endpoint = await engine.deployer.scale("e", 1)
    assert (endpoint.workers_desired, endpoint.status) == (1, EndpointStatus.IN_SERVICE)
    await engine.ready(1)
    assert await engine.run("1") == 1


# ---------------------------------------------------------------------- deleting


async def test_deleting_while_the_model_loads(engine: Any) -> None:
    gate = engine.gate()
    await engine.create(env={"WHILE_LOADING": gate.code})
    await gate.reached()
    assert engine.worker_processes()
    await engine.deployer.delete("e")
    await engine.gone()
    assert engine.worker_processes() == []
    with pytest.raises(NotFound):
        await engine.deployer.endpoint("e")


async def test_deleting_with_jobs_queued_and_running(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    running = await engine.submit(gate.code)
    await gate.reached()
    queued = [await engine.submit("1") for _ in range(3)]
    await engine.deployer.delete("e")
    await engine.gone()
    for job_id in (running, *queued):
        job = await engine.ended(job_id)
        assert (job.state, job.failure["error_type"]) == (JobState.FAILED, "endpoint_deleted")
        assert await engine.published(job) == ["failure"]
    assert engine.worker_processes() == []
    await engine.deploy()
    assert await engine.run("1") == 1
    assert len(await engine.jobs()) == 5


async def test_deleting_while_the_old_version_still_ends_a_job(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    running = await engine.submit(gate.code)
    await gate.reached()
    await engine.update()
    await engine.until(lambda one: one.status is EndpointStatus.IN_SERVICE)
    assert (await engine.inspector.job(running)).state is JobState.RUNNING
    await engine.deployer.delete("e")
    await engine.gone()
    assert (await engine.ended(running)).failure["error_type"] == "endpoint_deleted"
    assert engine.worker_processes() == []


# ---------------------------------------------------------------------- updating


async def test_an_update_takes_over_without_a_failure(engine: Any) -> None:
    await engine.deploy(env={"VERSION": "one"})
    answers: list[str] = []
    gate = engine.gate()

    async def keep_asking() -> None:
        while "two" not in answers:
            answers.append(await engine.run("os.environ['VERSION']"))

    asking = asyncio.create_task(keep_asking())
    await engine.update(env={"VERSION": "two", "WHILE_LOADING": gate.code})
    await gate.reached()
    before = len(answers)
    assert await engine.run("os.environ['VERSION']") == "one"
    described = await engine.deployer.endpoint("e")
    assert described.status is EndpointStatus.UPDATING
    assert described.active_version != described.target_version
    gate.open()
    await asking
    assert before
    assert set(answers) == {"one", "two"}
    endpoint = await engine.deployer.endpoint("e")
    assert (endpoint.status, endpoint.target_version) == (EndpointStatus.IN_SERVICE, None)
    async with asyncio.timeout(60):
        while len(engine.worker_processes()) > 1:  # noqa: ASYNC110  nobody tells of the end of the old crew
            await asyncio.sleep(0.01)


async def test_an_update_that_fails_rolls_back(engine: Any) -> None:
    await engine.deploy()
    before = await engine.deployer.endpoint("e")
    worker = await engine.run("os.getpid()")
    seen: list[EndpointStatus] = []

    async def look() -> None:
        while EndpointStatus.IN_SERVICE not in seen:
            heard = engine.deployer.heard("e")
            seen.append((await engine.deployer.wait("e", heard, 5)).status)

    await engine.update("broken_import")
    looking = asyncio.create_task(look())
    endpoint = await engine.until(lambda one: one.status is EndpointStatus.IN_SERVICE)
    await looking
    assert set(seen) <= {EndpointStatus.UPDATING, EndpointStatus.ROLLING_BACK, EndpointStatus.IN_SERVICE}
    assert (endpoint.active_version, endpoint.target_version) == (before.active_version, None)
    assert endpoint.failure_reason.startswith("Rolled back. ")
    assert "a_module_that_is_not_there" in endpoint.failure_reason
    assert await engine.run("os.getpid()") == worker
    assert engine.worker_processes() == [worker]
    await engine.update()
    assert (await engine.until(lambda one: one.status is EndpointStatus.IN_SERVICE)).failure_reason is None


# ---------------------------------------------------------------------- scaling


async def test_scaling_up_and_down(engine: Any) -> None:
    await engine.deploy(workers=2)
    await engine.ready(2)
    await engine.deployer.scale("e", 3)
    await engine.ready(3)
    await engine.deployer.scale("e", 1)
    await engine.ready(1)
    assert await engine.run("1") == 1
    assert len(engine.worker_processes()) == 1


async def test_fewer_are_wanted_while_they_load(engine: Any) -> None:
    notice, gate = await engine.notice(), engine.gate()
    await engine.deploy(env={"WHILE_LOADING": f"{notice.code} and {gate.code}"})
    notice.says = "slow"
    await engine.deployer.scale("e", 4)
    await gate.reached()
    await engine.deployer.scale("e", 1)
    for _ in range(2):
        await gate.reached()
    gate.open()
    async with asyncio.timeout(60):
        while len(engine.worker_processes()) > 1:  # noqa: ASYNC110  nobody tells of the end of superfluous workers
            await asyncio.sleep(0.01)
    assert engine.deployer.workers("e") == 1
    assert await engine.run("1") == 1


async def test_of_workers_that_end_in_one_breath_while_fewer_are_wanted_one_is_replaced(engine: Any) -> None:
    endpoint = await engine.deploy()
    crew = engine.deployer._crews.of(endpoint.active_version)
    crew.scale(0)
    await crew.stop_all()
    await engine.ready(0)
    goes_on = []

    async def end() -> None:
        goes_on.append(await crew._go_on(None))

    for _ in range(3):
        crew._keep(end())
    crew._desired = 1
    async with asyncio.timeout(60):
        while len(goes_on) < 3:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0)
    assert sorted(goes_on) == [False, False, True]


async def test_the_worker_that_stays_is_replaced_although_another_one_still_ends_its_job(
    engine: Any, kill_process: Any
) -> None:
    await engine.deploy(workers=2)
    await engine.ready(2)
    gates = {}
    for _ in range(2):
        gate = engine.gate()
        gates[await engine.submit(f"{gate.code} or os.getpid()")] = gate
        await gate.reached()
    endpoint = await engine.deployer.scale("e", 1)
    crew = engine.deployer._crews.of(endpoint.active_version)
    (staying,) = crew._taking()
    await kill_process(staying._worker.pid)
    async with asyncio.timeout(60):
        while crew._taking() in ([], [staying]):
            await engine.deployer.wait("e", engine.deployer.heard("e"), 0.02)
    (lost,) = staying._lost.values()
    await gates[lost].reached()
    for gate in gates.values():
        gate.open()
    first, second = [await engine.value(job_id) for job_id in gates]
    assert first != second
    await engine.ready(1)


# ---------------------------------------------------------------------- closing and starting again


async def test_a_stop_hands_back_what_runs_longer_than_the_grace(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    running, queued = await engine.submit(gate.code + " or 1"), await engine.submit("2")
    await gate.reached()
    engine.dispatcher.drain()
    await engine.deployer.close(0.05)
    job = await engine.inspector.job(running)
    assert (job.state, job.deaths, job.attempt) == (JobState.QUEUED, 0, 1)
    assert engine.worker_processes() == []
    await engine.close()

    again = await engine.restarted()
    await gate.reached()
    gate.open()
    assert [await again.value(one) for one in (running, queued)] == [1, 2]
    job = await again.ended(running)
    assert (job.deaths, job.attempt) == (0, 2)


async def test_a_stop_lets_short_jobs_end(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    running = await engine.submit(gate.code + " or 1")
    await gate.reached()
    engine.dispatcher.drain()
    closing = asyncio.create_task(engine.deployer.close(20))
    queued = await engine.submit("2")
    gate.open()
    assert await engine.value(running) == 1
    await closing
    assert (await engine.inspector.job(queued)).state is JobState.QUEUED
    for verb in (engine.create(name="other"), engine.update(), engine.deployer.delete("e")):
        with pytest.raises(Busy) as refused:
            await verb
        assert refused.value.error_type == "server_stopping"


async def test_a_stop_does_not_wait_for_workers_that_load(engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    await engine.update(env={"WHILE_LOADING": gate.code})
    await gate.reached()
    async with asyncio.timeout(30):
        await engine.deployer.close(60)
    assert engine.worker_processes() == []


async def test_workers_of_a_crew_that_load_do_not_hold_up_a_stop(engine: Any) -> None:
    notice, gate = await engine.notice(), engine.gate()
    await engine.deploy(env={"WHILE_LOADING": f"{notice.code} and {gate.code}"})
    notice.says = "slow"
    await engine.deployer.scale("e", 2)
    await gate.reached()
    async with asyncio.timeout(30):
        await engine.deployer.close(60)
    assert engine.worker_processes() == []


async def test_workers_come_back_without_another_proof(engine: Any) -> None:
    await engine.deploy(workers=2)
    await engine.deployer.scale("e", 3)
    (before,) = await engine.deployer.versions("e")
    trials = len(await engine.jobs(purpose=None))
    await engine.close()

    again = await engine.restarted()
    await again.ready(3)
    assert await again.run("1") == 1
    assert (await again.deployer.versions("e")) == [before]
    assert len(await again.jobs(purpose=None)) == trials + 1


async def test_a_trial_that_was_interrupted_begins_anew(engine: Any) -> None:
    """With what the deployment had chosen, and what the package says beside it."""
    gate = engine.gate()
    env = {"WHILE_LOADING": gate.code}
    package = engine.package({"inside.txt": ""} | files_of("obedient"))
    manifest = package / "seatrial.toml"
    manifest.write_text(manifest.read_text() + '\n[worker]\ninvocation_timeout_seconds = 77\n[env]\nOWN = "said"\n')
    await engine.create(package, env=env, workers=2)
    await gate.reached()
    await engine.close()

    again = await engine.restarted()
    assert (await again.deployer.endpoint("e")).status is EndpointStatus.CREATING
    await gate.reached()
    gate.open()
    endpoint = await again.settled()
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    (version,) = await again.deployer.versions("e")
    assert {one.state for one in version.stages} == {StageState.PASSED, StageState.SKIPPED}
    settings = version.settings
    assert (settings.workers, settings.invocation_timeout_seconds, settings.env["OWN"]) == (2, 77, "said")
    await gate.reached()
    gate.open()


async def test_a_trial_that_was_interrupted_before_its_inspection(engine: Any, monkeypatch: Any) -> None:
    """The package's own settings were not read yet when the server stopped."""
    held = asyncio.Event()

    async def hold(self: Any, chosen: frozenset[str]) -> Any:
        held.set()
        await asyncio.Event().wait()

    package = engine.package(files_of("obedient"))
    manifest = package / "seatrial.toml"
    manifest.write_text(manifest.read_text() + "\n[worker]\ninvocation_timeout_seconds = 77\ncount = 2\n")
    with monkeypatch.context() as patch:
        patch.setattr(Trial, "_inspect", hold)
        await engine.create(package, queue_ttl_seconds=99)
        await held.wait()
        await engine.close()

    again = await engine.restarted()
    endpoint = await again.settled()
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    settings = (await again.deployer.versions("e"))[0].settings
    assert (settings.workers, settings.invocation_timeout_seconds, settings.queue_ttl_seconds) == (2, 77, 99)


async def test_a_server_that_was_killed_in_the_last_step_of_a_rollback(engine: Any) -> None:
    endpoint = await engine.deploy()
    directory = engine.deployer._directory
    await directory.save_endpoint(replace(endpoint, status=EndpointStatus.ROLLING_BACK, failure_reason="Rolled back."))
    await engine.close()
    again = await engine.restarted()
    endpoint = await again.settled()
    assert (endpoint.status, endpoint.failure_reason) == (EndpointStatus.IN_SERVICE, "Rolled back.")
    assert again.deployer.workers("e") == 1
    await again.update()
    await again.until(lambda one: one.status is EndpointStatus.IN_SERVICE and one.failure_reason is None)


async def test_a_deletion_that_was_interrupted_goes_on(engine: Any) -> None:
    endpoint = await engine.deploy()
    queued = await engine.submit("1")
    await engine.value(queued)
    await engine.deployer._directory.save_endpoint(replace(endpoint, status=EndpointStatus.DELETING))
    await engine.close()
    again = await engine.restarted()
    await again.gone()
    assert again.worker_processes() == []


async def test_a_secret_that_is_not_there_any_more(clock: Any, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPEN_SESAME", "a-value-of-some-length")
    await engine.deploy(secrets={"TOKEN": "env:OPEN_SESAME"})
    assert await engine.run("len(os.environ['TOKEN'])") == 22
    await engine.close()
    monkeypatch.delenv("OPEN_SESAME")
    again = await engine.restarted()
    endpoint = await again.until(lambda one: one.status is EndpointStatus.FAILED)
    assert "env:OPEN_SESAME" in endpoint.failure_reason
    assert "set OPEN_SESAME in the server's environment" in endpoint.failure_reason


async def test_a_package_that_is_not_there_any_more(engine: Any) -> None:
    await engine.deploy()
    (version,) = await engine.deployer.versions("e")
    await engine.close()
    stored = engine.data / "packages" / version.package.sha256
    for folder in (stored, *stored.rglob("*")):
        folder.chmod(0o755)
    stored.rename(engine.folder / "elsewhere")
    again = await engine.restarted()
    endpoint = await again.until(lambda one: one.status is EndpointStatus.FAILED)
    assert "the stored package is gone" in endpoint.failure_reason
    assert endpoint.failure_reason.endswith("Remedy: Deploy it again.")
    assert again.worker_processes() == []


async def test_names_that_an_endpoint_cannot_have(engine: Any) -> None:
    for name in ("", "-a", "a-", "a_b", "a" * 64, "a/b", "ä"):
        with pytest.raises(BadInput) as refused:
            await engine.create(name=name)
        assert refused.value.field == "name"
    await engine.deploy(name="a" * 63)


@pytest.mark.parametrize(
    ("ends", "starts"), [("os.kill(os.getpid(), 11)", LOAD_ATTEMPTS_MAX), ("raise OSError('no device')", 1)]
)
async def test_a_load_that_crashes_is_tried_again_and_one_that_raises_is_not(
    engine: Any, ends: str, starts: int
) -> None:
    inference = f"import os\n\ndef model_fn(d):\n    print('a start', flush=True)\n    {ends}\n"
    inference += "\ndef predict_fn(d, m):\n    pass\n"
    await engine.create(engine.package({"code/inference.py": inference, "samples/any.json": "{}"}))
    endpoint = await engine.settled()
    assert endpoint.status is EndpointStatus.FAILED
    assert endpoint.failure_reason.startswith("load: The model did not load")
    assert (await engine.lines()).count("a start") == starts
    assert engine.worker_processes() == []


def files_of(package: str) -> dict[str, str]:
    folder = Path(__file__).resolve().parents[1] / "packages" / package
    found = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(folder)): path.read_text() for path in found}
