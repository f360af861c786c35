"""The native API of a real server, over HTTP."""

from __future__ import annotations

import io
import json
import signal
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from tests import forks

HANDLER = """\
import threading


class Odd(Exception):
    error_type = "odd_input"


class Handler:
    def shout(self, text: str):
        print("shouting", text)
        return {"text": text.upper()}

    def measure(self, image: bytes, label: str = ""):
        return {"bytes": len(image), "label": label, "copy": bytes(image)}

    def refuse(self):
        raise ValueError("the handler refuses")

    def hang(self):
        threading.Event().wait()
"""
MANIFEST = """\
[package]
handler = "handler:Handler"

[tasks.shout.input.text]
type = "string"
required = true
[[tasks.shout.samples]]
input = "hello.json"

[tasks.measure.input.image]
type = "file"
form = "bytes"
required = true
[tasks.measure.input.label]
type = "string"
[tasks.measure.output.parts.copy]
media_type = "application/octet-stream"

[tasks.refuse]
[tasks.hang]
"""
FILES = {"handler.py": HANDLER, "seatrial.toml": MANIFEST, "hello.json": '{"text": "hello"}'}
NAME = "words"
JOBS = f"/v1/endpoints/{NAME}/jobs"
STAGES = ["inspect", "environment", "weights", "load", "prove", "refuse", "drill", "report"]


@dataclass
class Served:
    """One server for this module: its tests leave each other's endpoints and jobs alone."""

    data: Path
    url: str
    client: httpx.Client


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("api") / "data"
    with (data.parent / "log").open("w") as log:
        process = forks.start("serve", "--data", data, "--port", 0, "--json", stderr=log.fileno())
    assert process.stdout is not None
    ready = process.stdout.readline()
    assert ready, (data.parent / "log").read_text()
    key = {"Authorization": "Bearer " + json.loads((data / "credentials.json").read_text())["api_key"]}
    url = json.loads(ready)["url"]
    with httpx.Client(base_url=url, headers=key, timeout=70, trust_env=False) as client:
        yield Served(data, url, client)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    process.close()
    assert not list((data / "uploads").iterdir())


@pytest.fixture(scope="module")
def api(server: Served) -> httpx.Client:
    return server.client


@pytest.fixture(scope="module")
def packed() -> bytes:
    """The package as a `.tar.gz`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def settled(api: httpx.Client, name: str = NAME) -> dict[str, Any]:
    """The endpoint once no version of it is on trial, by long poll alone."""
    endpoint: dict[str, Any] = api.get(f"/v1/endpoints/{name}").json()
    while endpoint["target_version"] is not None:
        params: dict[str, str | int] = {"wait": 30, "since": endpoint["change"]}
        endpoint = api.get(f"/v1/endpoints/{name}", params=params).json()
    return endpoint


@pytest.fixture(scope="module")
def served(api: httpx.Client, packed: bytes) -> httpx.Client:
    archive = {"Content-Type": "application/gzip"}
    answer = api.put(f"/v1/endpoints/{NAME}", content=packed, headers=archive, params={"unproven": "true"})
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "Creating"
    endpoint = settled(api)
    assert endpoint["status"] == "InService", endpoint
    return api


def make_bucket(server: Served, name: str) -> None:
    keys = json.loads((server.data / "credentials.json").read_text())
    session = boto3.Session(keys["access_key_id"], keys["secret_access_key"], region_name="us-east-1")
    session.client("s3", endpoint_url=server.url).create_bucket(Bucket=name)


def problem(answer: httpx.Response, status: int, error_type: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["error_type"]) == (status, error_type)
    return body


def events(api: httpx.Client, path: str, params: dict[str, Any] | None = None) -> Iterator[Any]:
    with api.stream("GET", path, params=params) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


# ---------------------------------------------------------------- endpoints


def test_an_endpoint_from_its_archive_to_its_end(api: httpx.Client, packed: bytes, server: Served) -> None:
    form = {"files": {"package": ("words.tar.gz", packed)}, "data": {"name": "grown", "settings": '{"unproven": true}'}}
    assert api.post("/v1/endpoints", **form).status_code == 202  # type: ignore[arg-type]
    endpoint = settled(api, "grown")
    assert (endpoint["status"], endpoint["unproven"]) == ("InService", True)
    (version,) = endpoint["versions"]
    assert [stage["stage"] for stage in version["stages"]] == STAGES
    assert [stage["state"] for stage in version["stages"]] == ["passed"] * 6 + ["skipped", "passed"]  # nothing to drill
    assert version["package"] == "words.tar.gz"
    assert [task["name"] for task in endpoint["contract"]["tasks"]] == ["shout", "measure", "refuse", "hang"]

    problem(api.post("/v1/endpoints", **form), 409, "endpoint_exists")  # type: ignore[arg-type]
    archive = {"Content-Type": "application/gzip"}
    fresh = archive | {"If-None-Match": "*"}
    problem(api.put("/v1/endpoints/grown", content=packed, headers=fresh), 409, "endpoint_exists")
    assert not list((server.data / "uploads").iterdir())

    answer = api.patch("/v1/endpoints/grown?unproven=true&env=A=b=c", content=packed, headers=archive)
    assert answer.json()["status"] == "Updating"
    updated = settled(api, "grown")
    assert updated["active_version"] == updated["versions"][1]["id"]
    assert updated["versions"][1]["env"] == {"A": "b=c"}
    assert api.patch("/v1/endpoints/grown", json={"workers": 2}).json()["workers"]["desired"] == 2

    assert [one["name"] for one in api.get("/v1/endpoints").json()["endpoints"]].count("grown") == 1
    assert api.delete("/v1/endpoints/grown").status_code == 202
    shown = api.get("/v1/endpoints/grown")
    while shown.status_code == 200:
        params = {"wait": 30, "since": shown.json()["change"]}
        shown = api.get("/v1/endpoints/grown", params=params)
    problem(shown, 404, "endpoint_not_found")
    assert not list((server.data / "uploads").iterdir())


def test_a_package_that_fails_its_trial_says_why(api: httpx.Client, packed: bytes) -> None:
    api.put("/v1/endpoints/failing", content=packed, headers={"Content-Type": "application/gzip"})
    endpoint = settled(api, "failing")
    assert endpoint["status"] == "Failed"
    assert "no sample" in endpoint["failure_reason"]
    refused = problem(
        api.post("/v1/endpoints/failing/jobs", json={"task": "shout", "text": "a"}), 409, "endpoint_not_in_service"
    )
    assert "no sample" in refused["detail"]


def test_a_stored_archive_is_deployed_by_name(api: httpx.Client, packed: bytes, server: Served) -> None:
    make_bucket(server, "results")
    place = api.post("/v1/uploads", json={"key": "a b/ü.tar.gz", "media_type": "application/gzip"}).json()
    assert httpx.put(place["url"], content=packed, headers=place["headers"], trust_env=False).status_code == 200
    assert place["uri"] == "s3://seatrial-inputs/a b/ü.tar.gz"
    body = {"name": "stored", "package": place["uri"], "unproven": True, "output": "s3://results/words"}
    assert api.post("/v1/endpoints", json=body).status_code == 202
    endpoint = settled(api, "stored")
    assert endpoint["status"] == "InService", endpoint["failure_reason"]
    accepted = api.post("/v1/endpoints/stored/jobs", json={"task": "shout", "text": "a"}).json()
    assert accepted["result"].startswith("s3://results/words/")


@pytest.mark.parametrize(
    ("how", "status", "error_type", "field"),
    [
        ({"json": {"name": "x", "package": "nowhere"}}, 422, "invalid_field", "package"),
        ({"json": {"name": "x", "package": "s3://b/k", "wrokers": 1}}, 422, "unknown_field", "wrokers"),
        ({"json": {"name": "x", "package": "s3://b/k", "workers": -1}}, 422, "invalid_field", "workers"),
        ({"json": {"name": "x"}}, 422, "missing_field", "package"),
        ({"json": {"package": "s3://b/k"}}, 422, "missing_field", "name"),
        ({"json": {"name": "no name", "package": "s3://b/k"}}, 422, "invalid_field", "name"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "malformed_input", None),
        ({"content": b"x", "headers": {"Content-Type": "image/png"}}, 415, "unsupported_media_type", None),
        ({"data": {"settings": "{}"}, "files": {"other": b"x"}}, 422, "missing_field", "package"),
        ({"files": {"package": b"x"}, "data": {"settings": "[]"}}, 422, "invalid_field", "body"),
    ],
)
def test_a_bad_deployment_names_the_field(
    api: httpx.Client, how: dict[str, Any], status: int, error_type: str, field: str | None
) -> None:
    assert problem(api.post("/v1/endpoints", **how), status, error_type).get("field") == field


def test_the_documents_of_the_api_need_no_key(api: httpx.Client) -> None:
    anonymous = {"Authorization": ""}
    problem(api.get("/v1/endpoints", headers=anonymous), 401, "unauthenticated")
    health = api.get("/healthz", headers=anonymous)
    assert (health.status_code, set(health.json()["parts"].values())) == (200, {"ok"})
    page = api.get("/docs", headers=anonymous)
    assert "src=" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    document = api.get("/v1/openapi.json", headers=anonymous).json()
    reference = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert f"`{method.upper()} {path}`" in reference
            assert operation["summary"], path
            assert operation["responses"]["default"]["content"].keys() == {"application/problem+json"}
    named = {word.split('"')[0] for word in json.dumps(document).split("#/components/schemas/")[1:]}
    assert named <= set(document["components"]["schemas"])
    assert {"409", "410", "422", "500", "504"} <= set(document["paths"]["/v1/jobs/{id}/result"]["get"]["responses"])
    assert {"/v1/jobs/{id}", "/v1/jobs/{id}/result", "/v1/endpoints/{name}/jobs"} <= set(document["paths"])


@pytest.mark.parametrize(
    ("method", "path", "status", "error_type"),
    [
        ("GET", "/v1/nothing", 404, "no_such_route"),
        ("PATCH", "/v1/jobs", 405, "method_not_allowed"),
        ("GET", "/v1/jobs/none", 404, "job_not_found"),
        ("GET", "/v1/jobs/none/result", 404, "job_not_found"),
        ("GET", "/v1/jobs/none/events", 404, "job_not_found"),
        ("GET", "/v1/jobs/none/input", 404, "job_not_found"),
        ("POST", "/v1/jobs/none/cancel", 404, "job_not_found"),
        ("POST", "/v1/jobs/none/retry", 404, "job_not_found"),
        ("GET", "/v1/jobs/none?wait=soon", 422, "invalid_field"),
        ("GET", "/v1/jobs?limit=0", 422, "invalid_field"),
        ("GET", "/v1/jobs?status=lost", 422, "invalid_field"),
        ("GET", "/v1/jobs?endpoint=none", 404, "endpoint_not_found"),
        ("GET", "/v1/endpoints/none", 404, "endpoint_not_found"),
        ("DELETE", "/v1/endpoints/none", 404, "endpoint_not_found"),
        ("GET", "/v1/endpoints/none/logs", 404, "endpoint_not_found"),
        ("POST", "/v1/endpoints/none/jobs", 404, "endpoint_not_found"),
    ],
)
def test_what_is_not_there_is_a_problem(
    api: httpx.Client, method: str, path: str, status: int, error_type: str
) -> None:
    problem(api.request(method, path), status, error_type)


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "valid"),
    [
        ("POST", f"{JOBS}?priority=10", {}, "priority", "0 to 9"),
        ("POST", f"{JOBS}?timeout_seconds=soon", {}, "timeout_seconds", "1 to 604800"),
        ("GET", "/v1/jobs?limit=0", None, "limit", "1 to 1000"),
        ("GET", "/v1/jobs?state=failed", None, "state", "endpoint, status, task, before, limit"),
        (
            "GET",
            "/v1/jobs?status=lost",
            None,
            "status",
            "awaiting_upload, queued, running, publishing, succeeded, failed, cancelled",
        ),
        ("GET", "/v1/endpoints/none?wait=-1", None, "wait", "a whole number of at least 0"),
        ("GET", "/v1/endpoints/none/logs?follow=perhaps", None, "follow", "true or false"),
        (
            "POST",
            "/v1/uploads",
            {"kee": "a"},
            "kee",
            (
                "key, media_type, endpoint, file_name, bucket, size_bytes_max, expires_in_seconds, event, fields, "
                "field, result, task, priority, affinity, ttl_seconds, timeout_seconds, webhook"
            ),
        ),
        ("POST", "/v1/uploads", {"key": 1}, "key", "a text of at least 1 characters"),
        (
            "POST",
            "/v1/endpoints",
            {"package": "s3://b/k", "env": {"A": 1}},
            "env.A",
            'a JSON object of texts, such as {"NAME": "VALUE"}',
        ),
    ],
)
def test_what_would_be_valid_is_said_in_our_words(
    api: httpx.Client, method: str, path: str, body: Any, field: str, valid: str
) -> None:
    refused = api.request(method, path, json=body).json()
    assert (refused["field"], refused["valid"]) == (field, valid)
    assert "Input should" not in refused["detail"]


# ---------------------------------------------------------------- jobs


def test_a_job_from_submission_to_its_result(served: httpx.Client) -> None:
    answer = served.post(JOBS, json={"task": "shout", "text": "hello"})
    accepted = answer.json()
    assert (answer.status_code, accepted["status"]) == (202, "queued")
    assert answer.headers["location"] == accepted["links"]["self"] == f"/v1/jobs/{accepted['id']}"
    result = served.get(accepted["links"]["result"], params={"wait": 30})
    assert (result.status_code, result.json()) == (200, {"text": "HELLO"})
    assert result.headers["content-type"] == "application/json"
    job = served.get(accepted["links"]["self"]).json()
    assert (job["status"], job["task"], job["attempt"], job["error"]) == ("succeeded", "shout", 1, None)
    assert job["parts"][-1]["uri"] == accepted["result"]
    assert served.get(f"{accepted['links']['self']}/input").json() == {"task": "shout", "text": "hello"}
    lines = [line["text"] for line in served.get(accepted["links"]["logs"]).json()["lines"]]
    assert any("shouting hello" in line for line in lines)
    assert [one["status"] for one in events(served, accepted["links"]["events"])] == ["succeeded"]

    again = served.post(accepted["links"]["retry"])
    assert again.status_code == 202
    assert (again.json()["retry_of"], accepted["retry_of"]) == (job["id"], None)
    retried = served.get(again.headers["location"], params={"wait": 30}).json()
    assert (retried["retry_of"], retried["status"]) == (job["id"], "succeeded")
    problem(served.post(accepted["links"]["cancel"]), 409, "job_already_ended")
    listed = served.get("/v1/jobs", params={"endpoint": NAME, "limit": 1}).json()
    assert [one["id"] for one in listed["jobs"]] == [retried["id"]]
    older = served.get("/v1/jobs", params={"before": listed["next"], "limit": 1}).json()
    assert [one["id"] for one in older["jobs"]] == [job["id"]]


def test_prefer_wait_answers_with_the_ended_job(served: httpx.Client) -> None:
    answer = served.post(JOBS, json={"text": "a"}, params={"task": "shout"}, headers={"Prefer": "wait=30"})
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert answer.headers["preference-applied"] == "wait=30"


def test_the_same_key_makes_one_job(served: httpx.Client) -> None:
    key = {"Idempotency-Key": "once"}
    first = served.post(JOBS, json={"task": "shout", "text": "a"}, headers=key).json()
    second = served.post(JOBS, json={"task": "shout", "text": "a"}, headers=key).json()
    assert (first["id"], second["existing"]) == (second["id"], True)
    problem(served.post(JOBS, json={"task": "shout", "text": "b"}, headers=key), 409, "idempotency_conflict")


def test_raw_bytes_forms_and_references_reach_the_media_field(served: httpx.Client) -> None:
    data = bytes(range(256))
    wait = {"Prefer": "wait=30"}
    raw = {"Content-Type": "application/octet-stream", "X-Seatrial-Task": "measure", **wait}
    done = served.post(JOBS, content=data, headers=raw).json()
    assert done["status"] == "succeeded", done
    assert served.get(done["links"]["result"]).json()["bytes"] == 256
    copy = served.get(done["links"]["result"], params={"part": "copy"})
    assert (copy.content, copy.headers["content-type"]) == (data, "application/octet-stream")
    assert problem(served.get(done["links"]["result"] + "?part=mask"), 422, "invalid_field")["field"] == "part"

    form = {"data": {"task": "measure", "label": "x"}, "files": {"image": ("a.bin", data)}}
    done = served.post(JOBS, headers=wait, **form).json()  # type: ignore[arg-type]
    assert served.get(done["links"]["result"]).json()["label"] == "x"

    place = served.post("/v1/uploads", json={}).json()
    httpx.put(place["url"], content=data, trust_env=False).raise_for_status()
    body = {"task": "measure", "image": place["uri"], "label": "named"}
    done = served.post(JOBS, json=body, headers=wait).json()
    assert served.get(done["links"]["result"]).json()["bytes"] == 256
    stored = {"Content-Type": "application/octet-stream", **wait}
    done = served.post(JOBS, params={"task": "measure", "input": place["uri"]}, headers=stored).json()
    assert (done["status"], done["input"]["uri"]) == ("succeeded", place["uri"])


def test_an_upload_url_needs_no_body_and_no_media_type(api: httpx.Client) -> None:
    assert api.post("/v1/uploads").json()["uri"].startswith("s3://seatrial-inputs/uploads/")
    form = {"Content-Type": "application/x-www-form-urlencoded"}  # what curl says of `-d`
    assert api.post("/v1/uploads", content=b'{"key": "a"}', headers=form).json()["uri"] == "s3://seatrial-inputs/a"
    refused = problem(api.post("/v1/uploads", content=b"key=a", headers=form), 400, "malformed_input")
    assert refused["valid"] == "a JSON object"
    problem(api.post("/v1/uploads", content=b" " * 2_000_000), 413, "payload_too_large")


def test_a_stored_body_is_what_it_was_stored_as(served: httpx.Client) -> None:
    place = served.post("/v1/uploads", json={"media_type": "application/octet-stream"}).json()
    httpx.put(place["url"], content=b"\0\1", headers=place["headers"], trust_env=False).raise_for_status()
    done = served.post(JOBS, params={"task": "measure", "input": place["uri"]}, headers={"Prefer": "wait=30"}).json()
    assert (done["status"], done["input"]["media_type"]) == ("succeeded", "application/octet-stream"), done["error"]


def test_a_body_over_the_inline_limit_becomes_an_object(served: httpx.Client) -> None:
    data = b"x" * (7 * 2**20)
    headers = {"Content-Type": "application/octet-stream", "Prefer": "wait=60", "Idempotency-Key": "big"}
    done = served.post(JOBS, content=data, headers=headers, params={"task": "measure"}).json()
    assert done["status"] == "succeeded", done
    assert done["input"]["uri"].startswith(f"s3://seatrial-inputs/{NAME}/")
    assert len(served.get(done["links"]["result"] + "?part=copy").content) == len(data)

    def chunked() -> Iterator[bytes]:
        for start in range(0, len(data), 2**20):
            yield data[start : start + 2**20]

    again = served.post(JOBS, content=chunked(), headers=headers, params={"task": "measure"}).json()
    assert again["id"] == done["id"]


def test_bad_input_is_refused_at_once_and_a_handlers_fault_fails_the_job(served: httpx.Client) -> None:
    before = served.get("/v1/jobs", params={"limit": 1}).json()
    unknown = problem(served.post(JOBS, json={"task": "whisper"}), 422, "unknown_task")
    assert "shout" in unknown["valid"]
    assert problem(served.post(JOBS, json={"task": "shout"}), 422, "missing_field")["field"] == "text"
    assert problem(served.post(JOBS, json={}, params={"prio": 1}), 422, "unknown_field")["field"] == "prio"
    assert problem(served.post(JOBS, json={}, headers={"X-Seatrial-Priority": "10"}), 422, "invalid_field")["field"]
    problem(served.post(JOBS, content=b"{", headers={"Content-Type": "application/json"}), 400, "malformed_input")
    problem(served.post(JOBS, params={"input": "s3://seatrial-inputs/none"}), 422, "input_not_found")
    assert served.get("/v1/jobs", params={"limit": 1}).json() == before

    job = served.post(JOBS, json={"task": "refuse"}, headers={"Prefer": "wait=30"}).json()
    assert (job["status"], job["error"]["error_type"]) == ("failed", "handler_error")
    result = served.get(job["links"]["result"])
    assert (result.status_code, result.headers["x-seatrial-error-type"]) == (500, "handler_error")
    document = result.json()
    assert (document["status"], document["job_id"]) == ("error", job["id"])
    assert "the handler refuses" in document["message"]


def test_a_running_job_is_followed_and_cancelled(served: httpx.Client) -> None:
    accepted = served.post(JOBS, json={"task": "hang"}).json()
    queued = served.post(JOBS, json={"task": "shout", "text": "after"}).json()
    seen = []
    for job in events(served, accepted["links"]["events"]):
        seen.append(job["status"])
        if job["status"] == "running" and not job["cancel_requested"]:
            assert job["waits_for"] == "its handler"
            waiting = served.get(accepted["links"]["result"])
            assert (waiting.status_code, waiting.json()["status"]) == (202, "running")
            problem(served.post(accepted["links"]["retry"]), 409, "job_not_ended")
            assert served.get(queued["links"]["self"]).json()["waits_for"].startswith(("a free worker", "its handler"))
            assert served.post(accepted["links"]["cancel"]).json()["status"] == "cancelled"
    assert seen[-1] == "cancelled"
    result = served.get(accepted["links"]["result"])
    assert (result.status_code, result.json()["error_type"]) == (409, "cancelled")
    assert served.get(queued["links"]["result"], params={"wait": 60}).json() == {"text": "AFTER"}


def test_logs_are_read_by_page_and_followed(served: httpx.Client) -> None:
    done = served.post(JOBS, json={"task": "shout", "text": "once"}, headers={"Prefer": "wait=30"}).json()
    path = f"/v1/endpoints/{NAME}/logs"
    for line in events(served, path, {"since": "5m", "follow": "true", "job": done["id"]}):
        assert (line["job_id"], line["text"]) == (done["id"], "shouting once")
        break
    first = served.get(path, params={"limit": 1}).json()
    assert len(first["lines"]) == 1
    second = served.get(path, params={"limit": 1, "after": first["next"]}).json()
    assert second["lines"][0]["id"] > first["lines"][0]["id"]
    assert problem(served.get(path, params={"since": "yesterday"}), 422, "invalid_field")["field"] == "since"
