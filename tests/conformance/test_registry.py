"""Endpoints, versions and documents on SQLite and on PostgreSQL."""

from dataclasses import replace

import pytest

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.outbox import SqlOutbox
from seatrial.adapters.sql.registry import SqlRegistry
from seatrial.domain.delivery import Delivery, DeliveryState, Target, TargetKind
from seatrial.domain.endpoint import (
    Endpoint,
    EndpointStatus,
    EndpointVersion,
    PackageRef,
    StageReport,
    StageState,
    TrialStage,
    VersionSettings,
)
from seatrial.domain.history import EndpointEvent, EventFilter, EventKind
from seatrial.domain.limits import ENDPOINT_EVENTS_KEPT
from seatrial.domain.objects import ObjectName
from seatrial.domain.scaling import ScalingSettings
from seatrial.ports.registry import AlreadyThere, NotThere

ENDPOINT = Endpoint(
    "e1",
    "echo",
    "000000000000",
    EndpointStatus.CREATING,
    created_at_ms=1,
    modified_at_ms=2,
    target_version="v1",
    failure_reason="ü",
    unproven=True,
    workers_desired=3,
    marks={"endpoint_config_name": "c", "tags": [{"Key": "a", "Value": "b"}]},
)
VERSION = EndpointVersion(
    "v1",
    "e1",
    "echo",
    number=1,
    package=PackageRef("0" * 64, "echo.tar.gz"),
    settings=VersionSettings(
        workers=2,
        env={"A": "1"},
        output_prefix=ObjectName("b", "p/"),
        samples_uri="s3://b/s",
        scaling=ScalingSettings(0, 3),
    ),
    created_at_ms=5,
    contract={"tasks": [{"name": "t"}]},
    stages=(StageReport(TrialStage.LOAD, StageState.FAILED, "it raised", 6, 7, {"traceback": ["…"]}),),
)


@pytest.fixture
async def registry(database: Database) -> SqlRegistry:
    return SqlRegistry(database)


async def test_an_endpoint_and_its_version_read_back_whole(registry: SqlRegistry) -> None:
    await registry.create_endpoint(ENDPOINT, VERSION)
    assert await registry.endpoint("echo") == ENDPOINT
    assert await registry.version("v1") == VERSION
    assert await registry.endpoint("other") is None
    assert await registry.version("other") is None


async def test_a_name_is_given_once_and_the_refused_leaves_nothing(registry: SqlRegistry) -> None:
    await registry.create_endpoint(ENDPOINT, VERSION)
    with pytest.raises(AlreadyThere, match="echo"):
        await registry.create_endpoint(replace(ENDPOINT, id="e2"), replace(VERSION, id="v2", endpoint_id="e2"))
    assert await registry.version("v2") is None
    with pytest.raises(AlreadyThere):
        await registry.add_version(replace(VERSION, number=2))


async def test_saving_replaces(registry: SqlRegistry) -> None:
    await registry.create_endpoint(ENDPOINT, VERSION)
    endpoint = replace(ENDPOINT, status=EndpointStatus.IN_SERVICE, active_version="v1", target_version=None, marks={})
    version = replace(VERSION, stages=(), settings=VersionSettings())
    await registry.save_endpoint(endpoint)
    await registry.save_version(version)
    assert await registry.endpoint("echo") == endpoint
    assert await registry.version("v1") == version
    with pytest.raises(NotThere):
        await registry.save_endpoint(replace(ENDPOINT, id="unknown"))
    with pytest.raises(NotThere):
        await registry.save_version(replace(VERSION, id="unknown"))


EVENT = EndpointEvent("n1", "e1", "v1", 9, EventKind.CANARY, "failed", "it rains", {"runs": [{"task": "ü"}]})


async def test_what_happened_is_kept_with_what_it_did(registry: SqlRegistry, database: Database) -> None:
    """Once, however often it is said, with what is told of it; and it goes with its endpoint."""
    began = replace(EVENT, id="n0", kind=EventKind.STATUS, word="Creating")
    await registry.create_endpoint(ENDPOINT, VERSION, [began])
    target = Target(TargetKind.WEBHOOK, "https://example.org/hook")
    told = Delivery("msg_1", "j1", "echo", target, "canary.failed", "{}", DeliveryState.PENDING, 0, 9, 9)
    out = replace(ENDPOINT, status=EndpointStatus.FAILED, target_version=None, last_version="v1")
    for _ in range(2):
        await registry.save_endpoint(out, [EVENT], [told])
    await registry.add_events([EVENT], [told])
    assert await registry.endpoint("echo") == out
    assert await registry.events(EventFilter("e1")) == [EVENT, began]
    assert await registry.events(EventFilter("e1", EventKind.STATUS)) == [began]
    assert await registry.events(EventFilter("e1", before="n1", limit=1)) == [began]
    assert await SqlOutbox(database).delivery("msg_1") == told
    await registry.remove_endpoint("e1")
    await registry.add_events([replace(EVENT, id="n2")])
    assert await registry.events(EventFilter("e1")) == []


async def test_the_oldest_events_are_forgotten(registry: SqlRegistry) -> None:
    await registry.create_endpoint(ENDPOINT, VERSION)
    events = [replace(EVENT, id=f"n{number}") for number in range(ENDPOINT_EVENTS_KEPT + 5)]
    await registry.add_events(events)
    kept = await registry.events(EventFilter("e1", limit=2 * ENDPOINT_EVENTS_KEPT))
    assert [one.id for one in kept] == [one.id for one in reversed(events[5:])]


async def test_listings_are_in_order(registry: SqlRegistry) -> None:
    await registry.create_endpoint(ENDPOINT, VERSION)
    other = replace(ENDPOINT, id="e0", name="a")
    await registry.create_endpoint(other, replace(VERSION, id="v0", endpoint_id="e0"))
    for number in (3, 2):
        await registry.add_version(replace(VERSION, id=f"v{number}", number=number))
    assert await registry.endpoints() == [other, ENDPOINT]
    assert [version.number for version in await registry.versions("e1")] == [1, 2, 3]
    assert await registry.versions("unknown") == []


async def test_removing_takes_the_versions_along_and_frees_the_name(registry: SqlRegistry) -> None:
    await registry.create_endpoint(ENDPOINT, VERSION)
    await registry.remove_endpoint("e1")
    assert await registry.endpoints() == []
    assert await registry.version("v1") is None
    await registry.create_endpoint(ENDPOINT, VERSION)
    await registry.remove_endpoint("unknown")
    assert await registry.endpoints() == [ENDPOINT]


async def test_documents(registry: SqlRegistry) -> None:
    await registry.put_document("model", "b", {"x": [1, None]}, 1)
    await registry.put_document("model", "a", {}, 1)
    await registry.put_document("config", "b", {"y": 1}, 1)
    assert await registry.document("model", "b") == {"x": [1, None]}
    assert await registry.document("model", "c") is None
    assert await registry.documents("model") == [("a", {}), ("b", {"x": [1, None]})]
    with pytest.raises(AlreadyThere):
        await registry.put_document("model", "b", {}, 1)
    await registry.save_document("model", "b", {"z": 2}, 2)
    await registry.save_document("model", "c", {}, 2)
    assert await registry.documents("model") == [("a", {}), ("b", {"z": 2}), ("c", {})]
    await registry.remove_document("model", "b")
    assert await registry.document("model", "b") is None
    with pytest.raises(NotThere, match="model"):
        await registry.remove_document("model", "b")
