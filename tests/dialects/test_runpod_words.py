"""RunPod's words, read and written without a server: whatever comes, an answer or a refusal that says what is valid."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.dialects.test_sagemaker_words import job

from seatrial.domain.errors import BadInput
from seatrial.domain.failures import Failure, failure_body, failure_document
from seatrial.domain.jobs import JobState
from seatrial.http.dialects.runpod import requests, status, worker
from seatrial.http.dialects.runpod.requests import read_run, read_wait_seconds
from seatrial.http.dialects.runpod.worker import Progress, Returned, job_document, read_chunk, read_done

_HALF = st.just("half a pair \ud83d")  # which JSON can say and UTF-8 cannot
_PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | _HALF
_JSON = st.recursive(
    _PLAIN, lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=9), one, max_size=3)
)
_NAMES = st.sampled_from(["input", "policy", "webhook", "s3Config", "id", "output", "error", "status", "stopPod", "x"])
_POLICY = st.dictionaries(st.sampled_from(["ttl", "executionTimeout", "lowPriority"]), _JSON)
_REQUEST = st.dictionaries(_NAMES, _JSON | _POLICY).map(lambda one: json.dumps(one).encode())
_BODY = st.binary(max_size=200) | _REQUEST


def read(reader: Callable[[Any], Any], given: Any) -> Any:
    """What the reader makes of it, or its refusal."""
    try:
        return reader(given)
    except BadInput as refused:
        return refused


@given(_BODY)
@settings(max_examples=300, deadline=None)
def test_a_request_is_read_or_refused(body: bytes) -> None:
    run = read(read_run, body)
    if isinstance(run, BadInput):
        assert run.message
        assert run.valid
        return
    json.loads(run.input)
    assert run.execution_timeout_seconds is None or run.execution_timeout_seconds >= 1


@given(_BODY)
@settings(max_examples=300, deadline=None)
def test_whatever_a_worker_posts_is_some_outcome(body: bytes) -> None:
    said = read_done(body)
    if isinstance(said, Failure):
        assert said.error_type
        assert json.loads(failure_body(failure_document(said, "job", 1)))
    else:
        json.loads(said.told if isinstance(said, Progress) else said.output)
    chunk = read_chunk(body)
    assert chunk is None or json.loads(chunk) is not Ellipsis


@given(st.text(max_size=20))
def test_a_wait_is_read_or_refused(text: str) -> None:
    seconds = read(read_wait_seconds, text)
    assert seconds.valid if isinstance(seconds, BadInput) else 1 <= seconds <= 300


def test_what_stands_beside_the_input_reaches_the_worker_and_the_policy_does_not() -> None:
    beside = {"s3Config": {"a": 1}, "webhook": "http://x/", "batchId": "7"}
    body = {"input": [1], "policy": {"ttl": 1500}, "id": "no", **beside}
    run = read_run(json.dumps(body).encode())
    assert run.queue_ttl_seconds == 2
    document = job_document("j1", run.input, {requests.EXTRAS: run.extras or "{}"})
    assert document == {**beside, "id": "j1", "input": [1]}


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({}, Returned(b"{}")),
        ({"output": None}, Returned(b"null")),
        ({"output": {"a": 1}, "stopPod": True}, Returned(b'{"a": 1}', stops=True)),
        ({"error": "", "output": 1}, Returned(b"1")),
        ({"status": "IN_PROGRESS", "output": {"n": 1}}, Progress(b'{"n": 1}')),
        ({"error": "no"}, Failure("handler_error", "no", {"error": "no"})),
        (
            {"error": {"code": 1}, "output": {"error_type": "odd", "n": 2}},
            Failure("odd", '{"code": 1}', {"error": {"code": 1}, "output": {"error_type": "odd", "n": 2}}),
        ),
    ],
)
def test_outcomes(body: dict[str, Any], outcome: Any) -> None:
    assert read_done(json.dumps(body).encode()) == outcome


def test_the_environment_names_every_route() -> None:
    text = worker.environment("my-endpoint")
    for verb in ("job-take", "job-done", "job-stream", "ping"):
        assert f"/v2/my-endpoint/{verb}/" in text


def test_a_job_is_cancelled_from_the_moment_that_its_client_was_told_so() -> None:
    """Its handler may take a while to stop; SDKs that ask meanwhile are not told that it goes on."""
    stopping = replace(job(JobState.RUNNING, None), cancel_requested=True)
    assert status.status(stopping, "j", progress={"percent": 5}) == {"id": "j", "status": "CANCELLED"}
    assert status.stream(stopping, [])["status"] == "FAILED"
