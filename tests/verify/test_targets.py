"""One stranger's view of a live deployment, whatever wire it speaks."""

from __future__ import annotations

import base64
import json
import time
import uuid

import httpx
import pytest

from seatrial.prove.targets import BadTarget, Forbidden, Refused, Request, SentFile, State, Unknown, parse


@pytest.fixture(params=["seatrial:gen3d", "sagemaker:gen3d", "url"])
def target(request, deployed, monkeypatch):
    for name, value in deployed.variables.items():
        monkeypatch.setenv(name, value)
    words = f"{deployed.url}/v1/endpoints/gen3d" if request.param == "url" else request.param
    with parse(words, deployed.variables) as target:
        yield target


def embedding(png, **how):
    file = SentFile(field="image", name="a.png", data=png(8, 8), media_type="image/png", **how)
    return Request(files=(file,), task="get_embedding", task_field="task", label="embedding")


def test_a_request_ends_with_its_result(target, png):
    described = target.describe()
    assert described.in_service
    assert described.workers_ready == 1
    assert abs(described.since - time.time()) < 120
    assert target.health().well

    ticket = target.submit(embedding(png))
    answer = target.wait(ticket, 30)

    assert answer.state is State.SUCCEEDED, answer.words
    assert sum(answer.primary.document()["embedding"]) == pytest.approx(1)
    assert 0 < answer.seconds < 30
    assert any("Processing task: get_embedding" in line.text for line in target.logs(time.time() - 60))


def test_a_failure_is_told_in_the_servers_words_and_lies_in_the_failure_location(target):
    before = target.failures()
    request = Request(input={"task": "initialization", "image": "iVBORw0KGgo="}, label="wrong")
    if target.wire == "seatrial":
        with pytest.raises(Refused) as refused:
            target.submit(request)
        assert refused.value.status == 422
        failure = refused.value.failure
    else:
        ticket = target.submit(request)
        answer = target.wait(ticket, 30)
        assert answer.state is State.FAILED
        assert target.failures() - before == {target.failure_of(ticket)}
        failure = answer.failure
    assert (failure.error_type, failure.structured) == ("unknown_task", True)
    assert "get_embedding" in failure.message


def test_what_it_stored_is_removed(target, png, deployed):
    ticket = target.submit(embedding(png))
    assert target.wait(ticket, 30).state is State.SUCCEEDED

    cleaned = target.clean([ticket])

    if target.wire == "seatrial":
        assert cleaned.reason.startswith("inputs travel inside")
        return
    assert len(cleaned.removed) == 3  # the picture, the request and the output
    assert not cleaned.left
    prefix = ticket.created[0].removeprefix("s3://data/").rpartition("/")[0]
    assert deployed.client("s3").list_objects_v2(Bucket="data", Prefix=prefix)["KeyCount"] == 0


def test_an_endpoint_of_ours_tells_its_contract_and_every_sample_of_it_runs(target):
    contract = target.contract()
    if target.wire == "sagemaker":
        assert contract is None
        return
    assert [(task.name, sample.name) for task, sample in contract.samples()] == [
        ("get_embedding", "pixel"),
        ("generate_3d", "pixel-file"),
    ]
    for task, sample in contract.samples():
        answer = target.wait(target.submit(contract.request(task, sample)), 30)
        assert answer.state is State.SUCCEEDED, answer.words


def test_nobody_knows_a_job_that_never_was(target):
    with pytest.raises(Unknown):
        target.status(str(uuid.uuid4()))


def test_scaling_is_told(target, deployed):
    assert target.scaling() == []
    key = {"Authorization": f"Bearer {deployed.variables['SEATRIAL_API_KEY']}"}
    path = f"{deployed.url}/v1/endpoints/gen3d/scaling"
    assert httpx.put(path, json={"min": 1, "max": 2}, headers=key).status_code == 200
    try:
        (scaling,) = target.scaling()
    finally:
        httpx.delete(path, headers=key)
    assert (scaling.minimum, scaling.maximum, scaling.policies) == (1, 2, ("seatrial",))
    assert "ApproximateBacklogSizePerInstance" in scaling.metrics


def test_files_go_as_the_contract_says_that_they_may(target, png):
    request = embedding(png, sources=("base64",))
    assert target.wait(target.submit(request), 30).state is State.SUCCEEDED
    encoded = base64.b64encode(png(8, 8)).decode()
    body = json.dumps({"task": "get_embedding", "image": encoded}).encode()
    assert target.wait(target.submit(Request(input=body)), 30).state is State.SUCCEEDED


def test_an_endpoint_that_is_not_there_is_unknown_and_wrong_keys_are_refused(deployed, monkeypatch):
    for name, value in deployed.variables.items():
        monkeypatch.setenv(name, value)
    for words in ("seatrial:nowhere", "sagemaker:nowhere"):
        with parse(words, deployed.variables) as target, pytest.raises(Unknown):
            target.describe()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    for words in ("seatrial:gen3d", "sagemaker:gen3d"):
        with parse(words, deployed.variables | {"SEATRIAL_API_KEY": "wrong"}) as target, pytest.raises(Forbidden):
            target.describe()


@pytest.mark.parametrize("words", ["gen3d", "sagemaker:", "s3://bucket", "lambda:x", "seatrial:x"])
def test_words_that_name_no_target_are_answered_with_those_that_would(words):
    with pytest.raises(BadTarget) as caught:
        parse(words, {})
    assert caught.value.remedy


@pytest.mark.parametrize("words", ["seatrial:", "sagemaker: ", "sagemaker:@us-east-1", "runpod:"])
def test_an_empty_name_is_what_is_wrong_whatever_the_surroundings_lack(words):
    with pytest.raises(BadTarget, match=r"names no endpoint: what comes after [a-z]*: is empty"):
        parse(words, {})
