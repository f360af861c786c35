"""Objects become jobs by triggers of packages, of the command line and of limited keys, in the shapes that AWS has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.acceptance.conftest import Api
from tests.conftest import until

PACKAGE = {
    "seatrial.toml": """
        [package]
        name = "tell"
        layout = "aws_lambda"
        handler = "handler.tell"
    """,
    "handler.py": "def tell(event, context):\n    return event\n",
    "samples/one.json": "{}",
}
TRIGGERS = """
        [[triggers]]
        bucket = "arrivals"
        prefix = "in/"
        suffix = ".json"
        result = "s3://told/{job_id}.json"
"""


@pytest.fixture(scope="module")
def told(shared_server: Any) -> Iterator[Any]:
    """A function that tells what it is given, in service."""
    api = Api(shared_server)
    for bucket in ("arrivals", "told"):
        shared_server.client("s3").create_bucket(Bucket=bucket)
    api.serve("tell", PACKAGE, unproven=True)
    yield api
    api.http.close()


def events_of(api: Any, trigger_id: str) -> list[dict[str, Any]]:
    def over() -> list[dict[str, Any]]:
        shown = api.http.get(f"/v1/triggers/{trigger_id}").json()["last_events"]
        return shown if shown and all(one["status"] != "waiting" for one in shown) else []

    return until(over, seconds=20)


def given_to(api: Any, trigger_id: str) -> Any:
    """The event that the last job of a trigger was given."""
    job_id = events_of(api, trigger_id)[0]["outcome"].removeprefix("job ")
    assert api.ended(job_id)["status"] == "succeeded"
    return api.http.get(f"/v1/jobs/{job_id}/input").json()


def test_a_package_brings_its_triggers_and_takes_them_along(told: Any) -> None:
    package = {**PACKAGE, "seatrial.toml": PACKAGE["seatrial.toml"] + TRIGGERS}
    s3 = told.server.client("s3")
    missing = told.deploy(
        "brings", {**package, "seatrial.toml": package["seatrial.toml"].replace("arrivals", "nowhere")}
    )
    assert missing["status"] == "Failed"
    assert "[[triggers]] 1: There is no bucket 'nowhere'" in missing["failure_reason"]
    told.serve("brings", package, unproven=True)

    def listed() -> list[dict[str, Any]]:
        found = told.http.get("/v1/triggers", params={"bucket": "arrivals"}).json()["triggers"]
        return [one for one in found if one["origin"] == "package"]

    (trigger,) = until(listed)
    s3.put_object(Bucket="arrivals", Key="in/a.json", Body=b'{"n": 1}')
    assert given_to(told, trigger["id"]) == {"n": 1}
    assert told.server.cli("triggers", "delete", trigger["name"], check=False).returncode == 1
    told.serve("brings", PACKAGE, unproven=True)
    until(lambda: not listed())
    told.serve("brings", package, unproven=True)
    assert until(listed)[0]["id"] == trigger["id"]
    told.delete("brings")
    assert not listed()


@pytest.mark.parametrize("shape", ["sns", "sqs"])
def test_functions_get_the_event_in_the_shape_of_the_service_that_would_bring_it(told: Any, shape: str) -> None:
    made = told.server.cli("triggers", "set", "arrivals", "tell", "--name", shape, "--prefix", f"{shape}/", "--json")
    changed = told.server.cli(
        "triggers", "set", "arrivals", "tell", "--name", shape, "--prefix", f"{shape}/", "--event", shape, "--json"
    )
    trigger = json.loads(changed.stdout)
    assert trigger["id"] == json.loads(made.stdout)["id"]
    told.server.client("s3").put_object(Bucket="arrivals", Key=f"{shape}/a b.txt", Body=b"ahoy")
    (record,) = given_to(told, trigger["id"])["Records"]
    if shape == "sns":
        assert record.keys() == {"EventSource", "EventVersion", "EventSubscriptionArn", "Sns"}
        assert (record["EventSource"], record["EventVersion"]) == ("aws:sns", "1.0")
        envelope = record["Sns"]
        names = "Type MessageId TopicArn Subject Message Timestamp SignatureVersion Signature SigningCertUrl"
        assert envelope.keys() == {*names.split(), "UnsubscribeUrl", "MessageAttributes"}
        assert (envelope["Type"], envelope["Subject"]) == ("Notification", "Amazon S3 Notification")
        assert record["EventSubscriptionArn"].startswith(envelope["TopicArn"] + ":")
        inner = envelope["Message"]
    else:
        names = (
            "messageId receiptHandle body attributes messageAttributes md5OfBody eventSource eventSourceARN awsRegion"
        )
        assert record.keys() == set(names.split())
        times = {"SentTimestamp", "ApproximateFirstReceiveTimestamp"}
        assert record["attributes"].keys() == times | {"ApproximateReceiveCount", "SenderId"}
        assert all(record["attributes"][name].isdecimal() for name in times)
        assert record["md5OfBody"] == hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()
        assert record["eventSource"] == "aws:sqs"
        inner = record["body"]
    (about,) = json.loads(inner)["Records"]
    assert (about["s3"]["object"]["key"], about["s3"]["object"]["size"]) == (f"{shape}/a+b.txt", 4)


def test_a_limited_key_gets_nowhere_by_triggers_and_uploads(told: Any) -> None:
    """What it does not reach stays out of its triggers, its orders, their results, and what it deploys."""
    told.server.client("s3").create_bucket(Bucket="secrets")
    arguments = ["--scope", "deploy", "--scope", "submit", "--scope", "read", "--endpoint", "tell", "--bucket", "told"]
    key = json.loads(told.server.cli("keys", "create", *arguments, "--json").stdout)
    headers = {"Authorization": f"Bearer {key['api_key']}"}
    with httpx.Client(base_url=told.server.url, headers=headers, timeout=30, trust_env=False) as limited:
        _go_nowhere(told, limited)


def _go_nowhere(told: Any, limited: httpx.Client) -> None:
    mine = {"bucket": "told", "endpoint": "tell", "prefix": "mine/", "name": "mine", "result": "s3://told/out/{job_id}"}
    owned = told.http.post("/v1/triggers", json={**mine, "bucket": "arrivals", "name": "of-owner"}).json()
    for more in (
        {"bucket": "secrets"},
        {"endpoint": "echo"},
        {"bucket": "seatrial-inputs", "event": "s3", "prefix": ""},
        {"bucket": "seatrial-inputs", "event": "s3", "prefix": "echo/"},
        {"result": "s3://secrets/{job_id}"},
        {"result": "s3://seatrial-results/echo/{job_id}"},
    ):
        answer = limited.post("/v1/triggers", json={**mine, **more})
        assert answer.status_code in (403, 404), (more, answer.text)
    for order in (
        {"endpoint": "echo"},
        {"endpoint": "tell", "bucket": "secrets", "key": "{job_id}"},
        {"endpoint": "tell", "bucket": "seatrial-inputs", "key": "echo/{job_id}"},
        {"endpoint": "tell", "result": "s3://secrets/{job_id}"},
    ):
        answer = limited.post("/v1/uploads", json=order)
        assert answer.status_code in (403, 404), (order, answer.text)
    assert limited.get(f"/v1/triggers/{owned['id']}").status_code == 404
    assert limited.delete(f"/v1/triggers/{owned['id']}").status_code == 404
    assert owned["id"] not in limited.get("/v1/triggers").text
    assert limited.post("/v1/triggers", json=mine).status_code == 201
    every = ["--scope", "deploy", "--endpoint", "tell", "--bucket", "*"]
    key = json.loads(told.server.cli("keys", "create", *every, "--json").stdout)
    limited.headers["Authorization"] = f"Bearer {key['api_key']}"
    for prefix, status in (("", 403), ("echo/", 403), ("tell/", 201)):  # others' inputs would be told by their events
        spied = {
            "bucket": "seatrial-inputs",
            "endpoint": "tell",
            "event": "s3",
            "prefix": prefix,
            "name": prefix or "all",
        }
        assert limited.post("/v1/triggers", json=spied).status_code == status, prefix


def test_a_package_of_a_limited_key_triggers_nothing_beyond_its_reach(told: Any) -> None:
    arguments = ["--scope", "deploy", "--endpoint", "stray", "--bucket", "told"]
    key = json.loads(told.server.cli("keys", "create", *arguments, "--json").stdout)
    owner, told.http.headers["Authorization"] = told.http.headers["Authorization"], f"Bearer {key['api_key']}"
    try:
        package = {**PACKAGE, "seatrial.toml": PACKAGE["seatrial.toml"] + TRIGGERS}
        stray = told.deploy("stray", package, unproven=True)
        assert "does not reach s3://arrivals/in/" in stray["failure_reason"]
    finally:
        told.http.headers["Authorization"] = owner


def test_results_never_set_their_own_trigger_off(told: Any) -> None:
    wanted = {"endpoint": "tell", "bucket": "seatrial-results", "prefix": "tell/"}
    answer = told.http.post("/v1/triggers", json=wanted)
    assert answer.json()["error_type"] == "trigger_loop", answer.text
