"""What has been kept long enough goes; what somebody may still want stays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from seatrial.domain.errors import NotFound
from seatrial.domain.objects import ObjectName
from seatrial.engine.submit import INPUTS_BUCKET, RESULTS_BUCKET
from seatrial.ports.object_store import NoSuchObject

DAY_MS = 86_400_000
BIG = "'x' * 100_000"
SPACES = " " * 20_000  # makes a request an object


async def there(engine: Any, name: ObjectName) -> bool:
    try:
        await engine.objects.head(name)
    except NoSuchObject:
        return False
    return True


async def put(engine: Any, bucket: str, key: str) -> ObjectName:
    name = ObjectName(bucket, key)
    await engine.objects.reveal(await engine.objects.stage(b"{}" * 20_000, 100_000), name, "application/json", {})
    return name


async def test_jobs_and_the_servers_own_objects(clock: Any, engine: Any) -> None:
    await engine.deploy()
    gate = engine.gate()
    old = await engine.ended(await engine.submit(BIG + SPACES, idempotency_key="k"))
    await engine.objects.create_bucket("mine")
    mine, upload = await put(engine, "mine", "a"), await put(engine, INPUTS_BUCKET, "uploads/u")
    running = await engine.submit(f"{gate.code} + {BIG}{SPACES}", invocation_timeout_seconds=50 * 86_400)
    await gate.reached()
    (kept_input,) = [
        info.name
        for info in (await engine.objects.list(INPUTS_BUCKET)).objects
        if info.name not in (upload, old.input.ref.name)
    ]
    blobs = engine.data / "blobs"
    clock.ahead_ms += 29 * DAY_MS
    young = await engine.submit("1")
    await engine.retainer.retain()
    assert await there(engine, old.output.result)
    clock.ahead_ms += 2 * DAY_MS
    await engine.retainer.retain()
    engine.watch._recent.clear()
    with pytest.raises(NotFound):
        await engine.inspector.job(old.id)
    gone = [old.output.result, old.input.ref.name, upload]
    assert [await there(engine, name) for name in gone] == [False] * 3
    assert await there(engine, mine)
    assert await there(engine, kept_input), "its job has not ended"
    again = await engine.accept(BIG + SPACES, idempotency_key="k")
    assert not again.existing
    gate.open("a")
    job = await engine.ended(running)
    assert job.ended_at_ms is not None
    await engine.ended(young)
    await engine.ended(again.job_id)
    assert await there(engine, job.output.result)
    clock.ahead_ms += 31 * DAY_MS
    await engine.retainer.retain()
    assert not await there(engine, kept_input)
    assert (await engine.objects.list(RESULTS_BUCKET)).objects == ()
    assert len([path for path in blobs.rglob("*") if path.is_file()]) == 1, "the one that is mine"
    assert await engine.jobs() == []
    assert not any((await engine.inspector.counts((await engine.deployer.endpoint("e")).id)).values())


async def test_packages_that_no_version_uses(clock: Any, engine: Any) -> None:
    await engine.deploy()
    first = (await engine.deployer.versions("e"))[0].package.sha256
    await engine.update("obedient_sagemaker")
    await engine.settled()
    second = (await engine.deployer.versions("e"))[1].package.sha256
    packages = engine.data / "packages"
    for _ in range(100):
        if engine.deployer._crews.of((await engine.deployer.versions("e"))[0].id) is None:
            break
        await asyncio.sleep(0.1)
    await engine.retainer.retain()
    assert {first, second} <= {path.name for path in packages.iterdir()}
    clock.ahead_ms += 31 * DAY_MS
    await engine.retainer.retain()
    assert [path.name for path in packages.iterdir()] == [second]
    assert await engine.run("1") == 1
    clock.ahead_ms = 0  # a receiver of the trial's notifications goes by the machine's clock
    await engine.deploy("obedient", "again")
    assert await engine.run("1", "again") == 1


async def test_environments_and_weights_of_earlier_runs(clock: Any, engine: Any) -> None:
    def old(*parts: str) -> Path:
        path = engine.data.joinpath(*parts)
        path.mkdir(parents=True)
        return path

    unused = [old("environments", "e1"), old("weights", "a" * 64), old("weights", ".partial-" + "b" * 64)]
    await engine.retainer.retain()
    assert all(path.exists() for path in unused)
    clock.ahead_ms += 31 * DAY_MS
    await engine.retainer.retain()
    assert not any(path.exists() for path in unused)
