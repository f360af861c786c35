"""One job, several doors: whoever submitted it, everybody sees the same, and is told of the same end."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.acceptance.test_topics import asynchronous, confirmed, verified
from tests.acceptance.test_webhooks import Receiver

with warnings.catch_warnings():  # the SDK's own, and of what it imports
    warnings.simplefilter("ignore")
    import runpod


@pytest.fixture
def make_receiver() -> Iterator[Callable[[], Receiver]]:
    made: list[Receiver] = []

    def make() -> Receiver:
        made.append(Receiver())
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def told(api: Any, archive: Any, make_receiver: Any, eventually: Any) -> tuple[Receiver, Receiver, str]:
    """An asynchronous endpoint of SageMaker's door: who is told by webhook, who by its error topic, and that topic."""
    server = api.server
    sns = server.client("sns")
    topics = {word: sns.create_topic(Name=f"job-{word.lower()}")["TopicArn"] for word in ("SuccessTopic", "ErrorTopic")}
    subscriber, hook = make_receiver(), make_receiver()
    asynchronous(server, archive, topics, webhook=hook.url.partition("?")[0])
    confirmed(sns, topics["ErrorTopic"], subscriber, eventually)
    return hook, subscriber, topics["ErrorTopic"]


def test_submitted_by_boto3_cancelled_on_the_command_line_and_told_of_everywhere(
    api: Any, told: tuple[Receiver, Receiver, str], gate: Any, eventually: Callable[..., Any]
) -> None:
    hook, subscriber, topic = told
    accepted = api.server.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName="told", Body=json.dumps({"code": gate.code}).encode(), ContentType="application/json",
        InferenceId="from boto3",
    )  # fmt: skip
    gate.reached()
    (job,) = api.http.get("/v1/jobs", params={"endpoint": "told", "status": "running"}).json()["jobs"]
    assert (job["door"], job["result"]) == ("sagemaker", accepted["OutputLocation"])

    polled: list[dict[str, Any]] = []
    seen: list[str] = []
    poll = threading.Thread(target=lambda: polled.append(api.job(job["id"], wait=30)))
    watch = threading.Thread(target=lambda: seen.extend(states(api, job["id"])))
    poll.start()
    watch.start()
    eventually(lambda: seen)  # the stream of events is open

    api.server.cli("jobs", "cancel", job["id"])

    poll.join(30)
    watch.join(30)
    assert polled[0]["status"] == "cancelled"
    assert (seen[0], seen[-1]) == ("running", "cancelled")
    failure = json.loads(api.object(accepted["FailureLocation"]))
    assert (failure["error_type"], failure["job_id"]) == ("cancelled", job["id"])

    eventually(lambda: hook.got)
    event = json.loads(hook.got[0][1])
    assert (event["type"], event["data"]["job_id"]) == ("job.cancelled", job["id"])
    eventually(lambda: subscriber.got)
    envelope = verified(subscriber.got[0][1])
    message = json.loads(envelope["Message"])
    assert envelope["TopicArn"] == topic
    assert (message["invocationStatus"], message["inferenceId"]) == ("Failed", "from boto3")
    assert message["failureLocation"] == accepted["FailureLocation"]


def test_submitted_by_the_runpod_sdk_and_seen_everywhere(
    api: Any, gate: Any, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Any]
) -> None:
    api.serve("plain")
    monkeypatch.setattr(runpod, "endpoint_url_base", f"{api.server.url}/v2")
    monkeypatch.setattr(runpod, "api_key", api.server.variables["SEATRIAL_API_KEY"])
    job = runpod.Endpoint("plain").run({"input": {"code": gate.code}})
    gate.reached()
    shown = api.job(job.job_id)
    assert (shown["status"], shown["door"]) == ("running", "runpod")
    described = api.server.client("sagemaker").describe_endpoint(EndpointName="plain")
    assert described["EndpointStatus"] == "InService"
    listed = json.loads(api.server.cli("jobs", "list", "--endpoint", "plain", "--json").stdout)
    assert job.job_id in json.dumps(listed)
    gate.open("by every door")
    assert job.output(timeout=20) == {"value": "by every door"}
    assert api.value(job.job_id) == "by every door"
    ended = api.job(job.job_id)
    assert json.loads(api.object(ended["result"])) == {"value": "by every door"}  # as whoever polls SageMaker's output
    logs = api.server.client("logs").describe_log_streams(logGroupName="/aws/sagemaker/Endpoints/plain")
    assert logs["logStreams"]


def states(api: Any, job_id: str) -> Iterator[str]:
    """What server-sent events tell of a job, until they end."""
    with api._client() as client, client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))["status"]
