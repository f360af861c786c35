"""The end of a sample is told to a receiver of the trial's own, as any client is told; else the trial fails."""

from typing import Any

import pytest

from seatrial.domain import delivery as wire
from seatrial.domain.delivery import DeliveryFilter
from seatrial.domain.endpoint import EndpointStatus, TrialStage
from seatrial.engine import deliver
from seatrial.engine.trial import callbacks

TOML = """
[package]
handler = "model:Model"
[tasks.say.input.text]
type = "string"
[tasks.shout]
aliases = ["cry"]
[[tasks.say.samples]]
name = "one"
input = "samples/one.json"
[[tasks.say.samples]]
name = "two"
input = "samples/one.json"
[[tasks.shout.samples]]
name = "one"
input = "samples/empty.json"
"""
FILES = {
    "seatrial.toml": TOML,
    "model.py": "class Model:\n def say(self, text=''):\n  return text\n def shout(self):\n  return 'A'\n",
    "samples/one.json": '{"text": "one"}',
    "samples/empty.json": "{}",
}


async def tried(engine: Any) -> tuple[Any, Any]:
    """The endpoint, and the report of the stage `prove`."""
    await engine.create(engine.package(FILES))
    endpoint = await engine.settled()
    versions = await engine.deployer.versions("e")
    return endpoint, {one.stage: one for one in versions[-1].stages}[TrialStage.PROVE]


async def test_one_sample_of_each_task_is_told_of(engine: Any) -> None:
    endpoint, prove = await tried(engine)
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    told = [(one["task"], one["sample"], "callback" in one) for one in prove.details["samples"]]
    assert told == [("say", "one", True), ("say", "two", False), ("shout", "one", True), ("shout", "one", False)]
    first = prove.details["samples"][0]
    assert first["callback"]["job_id"] == first["job_id"]
    assert first["callback"]["delivery_id"].startswith("msg_")
    assert await engine.deliverer.deliveries(DeliveryFilter()) == []  # the receiver is gone, and what was its


async def test_a_callback_that_is_signed_with_something_else_fails_the_trial(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = wire.SECRET_PREFIX + "AAAA"
    signed = wire.signed_headers
    monkeypatch.setattr(deliver, "signed_headers", lambda secrets, *rest: signed((other,), *rest))
    endpoint, _ = await tried(engine)
    assert endpoint.status is EndpointStatus.FAILED
    assert "Sample 'one' of task 'say': its callback was not signed as it must be" in endpoint.failure_reason


async def test_a_callback_that_tells_something_else_fails_the_trial(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seatrial.adapters.sql import outbox_rows

    said = outbox_rows.announcement
    monkeypatch.setattr(outbox_rows, "announcement", lambda job: said(job).replace(job.id, "another"))
    endpoint, _ = await tried(engine)
    assert endpoint.status is EndpointStatus.FAILED
    assert "its callback tells something else: job_id is 'another', not '" in endpoint.failure_reason


async def test_a_callback_that_does_not_arrive_fails_the_trial(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "TRIAL_CALLBACK_SECONDS_MAX", 1)
    monkeypatch.setattr(deliver.OwnReceivers, "names", frozenset())
    endpoint, _ = await tried(engine)
    assert endpoint.status is EndpointStatus.FAILED
    assert "Sample 'one' of task 'say': its callback did not arrive within 1 s." in endpoint.failure_reason
    assert "Remedy: The package is not at fault" in endpoint.failure_reason
