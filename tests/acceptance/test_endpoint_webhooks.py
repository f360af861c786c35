"""Webhooks of an endpoint: what they ask for, a secret of their own, its rotation, and what befalls the endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from tests.acceptance.test_webhooks import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def added(api: Any, endpoint: str, receiver: Receiver, *events: str) -> dict[str, Any]:
    wanted = {"url": receiver.url} | ({"events": " ".join(events)} if events else {})
    answer = api.http.post(f"/v1/endpoints/{endpoint}/webhooks", json=wanted)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def types(receiver: Receiver) -> list[str]:
    return [json.loads(body)["type"] for _, body in receiver.got]


def test_a_webhook_hears_what_it_asked_for_signed_with_its_own_secret(
    api: Any, receiver: Receiver, eventually: Callable[..., Any]
) -> None:
    api.serve("w0")
    made = added(api, "w0", receiver, "queued", "started", "failed")
    listed = json.loads(api.server.cli("webhooks", "list", "w0", "--json").stdout)["webhooks"]
    assert listed == [{name: value for name, value in made.items() if name != "secret"}]
    api.ended(api.submit("w0"))
    job_id = api.submit("w0", "1 / 0")
    api.ended(job_id)
    eventually(lambda: len(receiver.got) == 5)
    assert sorted(types(receiver)) == ["job.failed", "job.queued", "job.queued", "job.started", "job.started"]
    for headers, body in receiver.got:
        Webhook(made["secret"]).verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(api.server.variables["SEATRIAL_WEBHOOK_SECRET"]).verify(body, headers)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 5


def test_a_secret_is_rotated_with_overlap_and_a_removed_webhook_hears_no_more(
    api: Any, receiver: Receiver, eventually: Callable[..., Any]
) -> None:
    api.serve("w1")
    first = added(api, "w1", receiver)
    rotated = json.loads(api.server.cli("webhooks", "rotate", "w1", first["id"], "--json").stdout)
    assert rotated["secret"] != first["secret"]
    api.ended(api.submit("w1"))
    eventually(lambda: receiver.got)
    headers, body = receiver.got.pop()
    for secret in (first["secret"], rotated["secret"]):
        Webhook(secret).verify(body, headers)
    last = json.loads(api.server.cli("webhooks", "rotate", "w1", first["id"], "--overlap-hours", "0", "--json").stdout)
    api.ended(api.submit("w1"))
    eventually(lambda: receiver.got)
    headers, body = receiver.got.pop()
    Webhook(last["secret"]).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(rotated["secret"]).verify(body, headers)
    api.server.cli("webhooks", "remove", "w1", first["id"])
    other = Receiver()
    try:
        api.ended(api.submit("w1", webhook=other.url))
        eventually(lambda: other.got)
    finally:
        other.close()
    assert receiver.got == []


def test_what_befalls_an_endpoint_is_told(api: Any, receiver: Receiver, eventually: Callable[..., Any]) -> None:
    api.serve("w2")
    added(api, "w2", receiver, "endpoint", "canary")
    update = api.put("w2", "broken_import", method="PATCH")
    assert update.status_code == 202, update.text
    told = {"endpoint.updating", "endpoint.rolling_back", "endpoint.in_service"}  # in whatever order they arrive
    eventually(lambda: told <= set(types(receiver)))
    back = next(json.loads(body) for _, body in receiver.got if b"rolling_back" in body)
    assert (back["data"]["endpoint"], back["data"]["status"]) == ("w2", "RollingBack")
    assert "broken" in back["data"]["message"] or "No module" in back["data"]["message"]


def test_a_job_names_what_it_is_told_of_and_a_word_that_is_none_is_refused(
    api: Any, receiver: Receiver, eventually: Callable[..., Any]
) -> None:
    api.serve("w3")
    bad = api.http.post("/v1/endpoints/w3/webhooks", json={"url": receiver.url, "events": "succeded"})
    assert (bad.status_code, bad.json()["field"]) == (422, "events")
    assert "succeeded" in bad.json()["valid"]
    job_id = api.submit("w3", webhook=receiver.url, webhook_events="started succeeded")
    api.ended(job_id)
    eventually(lambda: len(receiver.got) == 2)
    assert sorted(types(receiver)) == ["job.started", "job.succeeded"]
