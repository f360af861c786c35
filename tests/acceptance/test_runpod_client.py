"""RunPod's clients, unmodified: the SDK (plain and asyncio) and curl, against any endpoint."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

with warnings.catch_warnings():  # the SDK's own, and of what it imports
    warnings.simplefilter("ignore")
    import aiohttp
    import runpod
    from runpod import AsyncioEndpoint


@pytest.fixture
def sdk(api: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """`runpod.Endpoint` of a name, pointed here as users do it."""
    monkeypatch.setattr(runpod, "endpoint_url_base", f"{api.server.url}/v2")
    monkeypatch.setattr(runpod, "api_key", api.server.variables["SEATRIAL_API_KEY"])
    api.serve("plain") if api.http.get("/v1/endpoints/plain").status_code == 404 else None
    return runpod.Endpoint  # type: ignore[no-any-return]


@pytest.fixture
def raw(api: Any) -> Iterator[httpx.Client]:
    """curl, as it were: RunPod's documents send the key as it is."""
    key = {"Authorization": api.server.variables["SEATRIAL_API_KEY"]}
    with httpx.Client(base_url=f"{api.server.url}/v2/plain", headers=key, timeout=60, trust_env=False) as client:
        yield client


def test_a_job_by_the_sdk(sdk: Any, api: Any) -> None:
    job = sdk("plain").run({"input": {"code": "6 * 7"}})
    assert job.output(timeout=20) == {"value": 42}
    assert job.status() == "COMPLETED"
    assert api.job(job.job_id)["door"] == "runpod"
    assert sdk("plain").run_sync({"code": "'sync'"}, timeout=20) == {"value": "sync"}


def test_the_asyncio_sdk(sdk: Any, raw: httpx.Client) -> None:
    async def story() -> tuple[Any, ...]:
        async with aiohttp.ClientSession() as session:
            endpoint = AsyncioEndpoint("plain", session)
            job = await endpoint.run({"code": "'async'"})
            output = await job.output(timeout=20)
            failing = await endpoint.run({"code": "fail(ValueError('no'))"})
            await failing.output(timeout=20)
            health = await endpoint.health()
            return output, await job.status(), await failing.status(), health, await endpoint.purge_queue()

    output, good, bad, health, purged = asyncio.run(story())
    assert (output, good, bad) == ({"value": "async"}, "COMPLETED", "FAILED")
    assert set(health["workers"]) >= {"idle", "running", "throttled", "unhealthy"}
    assert health["jobs"]["completed"] >= 1
    assert health["jobs"]["failed"] >= 1
    assert purged == {"removed": 0, "status": "completed"}


def test_times_and_documents(sdk: Any, raw: httpx.Client) -> None:
    done = raw.post("/runsync", json={"input": {"code": "time.sleep(0.2) or 1"}}).json()
    assert done["status"] == "COMPLETED"
    assert done["output"] == {"value": 1}
    assert done["id"].startswith("sync-")
    assert done["executionTime"] >= 200
    assert done["delayTime"] >= 0
    again = raw.get(f"/status/{done['id']}").json()
    assert again == done
    accepted = raw.post("/run", json={"input": {"code": "1"}})
    assert accepted.status_code == 200
    assert accepted.json()["status"] == "IN_QUEUE"
    assert any(one["id"] == accepted.json()["id"] for one in raw.get("/requests").json()["requests"])


def test_runsync_that_takes_longer_than_its_wait(sdk: Any, raw: httpx.Client, gate: Any) -> None:
    told = raw.post("/runsync?wait=1000", json={"input": {"code": gate.code}}).json()
    gate.reached()
    assert told["status"] in ("IN_PROGRESS", "IN_QUEUE")
    assert "output" not in told
    gate.open("at last")
    assert until(raw, told["id"], "COMPLETED")["output"] == {"value": "at last"}


def test_failures_say_what_the_worker_would(sdk: Any, raw: httpx.Client) -> None:
    failed = raw.post("/runsync", json={"input": {"code": "fail(ValueError('too dark'))"}}).json()
    assert failed["status"] == "FAILED"
    assert "output" not in failed
    said = json.loads(failed["error"])
    assert (said["error_type"], said["error_message"]) == ("<class 'ValueError'>", "too dark")
    assert "obedient.py" in said["error_traceback"]
    refused = raw.post("/runsync", json={"input": {"cod": 1}}).json()
    assert refused["status"] == "FAILED"
    assert "code" in refused["error"]


def test_cancel_retry_and_purge(sdk: Any, raw: httpx.Client, gate: Any, api: Any) -> None:
    running = sdk("plain").run({"input": {"code": gate.code}})
    gate.reached()
    waiting = [sdk("plain").run({"input": {"code": str(n)}}) for n in range(3)]
    assert waiting[0].cancel() == {"id": waiting[0].job_id, "status": "CANCELLED"}
    assert sdk("plain").purge_queue() == {"removed": 2, "status": "completed"}
    assert [job.status() for job in waiting] == ["CANCELLED"] * 3
    assert running.status() == "IN_PROGRESS"
    assert running.cancel()["status"] == "CANCELLED"
    assert until(raw, running.job_id, "CANCELLED")
    refused = raw.post(f"/retry/{running.job_id}")
    assert refused.status_code == 400
    assert "TIMED_OUT" in refused.json()["error"]
    # a stream of a cancelled job ends: the SDK would go on for ever on CANCELLED
    assert list(running.stream()) == []

    flag = "os.environ.setdefault('TRIED', '')"
    code = f"{flag} and 'second' or (os.environ.update(TRIED='x'), fail(ValueError('first')))"
    job_id = raw.post("/run", json={"input": {"code": code}}).json()["id"]
    until(raw, job_id, "FAILED")
    assert raw.post(f"/retry/{job_id}").json() == {"id": job_id, "status": "IN_QUEUE"}
    assert until(raw, job_id, "COMPLETED")["output"] == {"value": "second"}
    assert api.job(job_id)["status"] == "failed"  # by its own id it is what it was


def test_policy(sdk: Any, raw: httpx.Client, gate: Any, api: Any) -> None:
    policy = {"executionTimeout": 1000, "lowPriority": True, "ttl": 60_000}
    job_id = raw.post("/run", json={"input": {"code": "time.sleep(60)"}, "policy": policy}).json()["id"]
    assert until(raw, job_id, "TIMED_OUT")["error"].startswith("The handler ran longer than 1 s")
    job = api.job(job_id)
    assert (job["priority"], job["timeout_seconds"]) == (9, 1.0)
    gate_id = raw.post("/run", json={"input": {"code": gate.code}}).json()["id"]
    gate.reached()
    late = raw.post("/run", json={"input": {"code": "1"}, "policy": {"ttl": 1000}}).json()["id"]
    assert "within its 1 seconds" in until(raw, late, "TIMED_OUT")["error"]
    gate.open()
    until(raw, gate_id, "COMPLETED")


def test_a_webhook_gets_the_status_document(sdk: Any, raw: httpx.Client) -> None:
    got: list[dict[str, Any]] = []
    come = threading.Event()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if len(got) > 1 else 500)  # told again after a refusal
            self.end_headers()
            come.set() if len(got) > 1 else None

        def log_message(self, *_: Any) -> None:
            pass

    hook = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=hook.serve_forever, args=(0.02,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{hook.server_address[1]}/"
        job_id = raw.post("/run", json={"input": {"code": "[1, 2]"}, "webhook": url}).json()["id"]
        assert come.wait(30)
    finally:
        hook.shutdown()
        hook.server_close()
    assert got[0] == got[1]
    assert got[0]["id"] == job_id
    assert got[0]["status"] == "COMPLETED"
    assert got[0]["output"] == {"value": [1, 2]}


def test_what_stands_beside_the_input_is_shown_to_nobody(sdk: Any, raw: httpx.Client, api: Any) -> None:
    config = {"accessId": "a", "accessSecret": "very-secret-word", "bucketName": "b", "endpointUrl": "http://s3"}
    job_id = raw.post("/run", json={"input": {"code": "1"}, "s3Config": config}).json()["id"]
    until(raw, job_id, "COMPLETED")
    assert "very-secret-word" not in json.dumps(api.job(job_id))


def test_bad_requests_say_what_would_be_valid(sdk: Any, raw: httpx.Client) -> None:
    for body, field in [
        ({"code": 1}, "input"),
        ([], "body"),
        ({"input": {}, "policy": 3}, "policy"),
        ({"input": {}, "policy": {"ttl": 1}}, "policy.ttl"),
        ({"input": {}, "policy": {"lowPriority": "yes"}}, "policy.lowPriority"),
        ({"input": {}, "webhook": "ftp://x"}, "webhook"),
        ({"input": {}, "x": "y" * 70_000}, None),
    ]:
        answer = raw.post("/run", json=body)
        assert answer.status_code in (400, 413), (body, answer.text)
        assert answer.json().get("field") == field
        assert "Valid: " in answer.json()["error"]
    assert raw.post("/run", content=b"{").status_code == 400
    assert raw.post("/runsync?wait=soon", json={"input": {}}).json()["field"] == "wait"
    unknown = raw.get("/status/none")
    assert unknown.status_code == 404
    assert unknown.json()["status"] == "FAILED"
    assert raw.get("/nothing").status_code == 404
    base = str(raw.base_url).removesuffix("plain/")
    assert raw.post(f"{base}missing/run", json={"input": {}}).status_code == 404
    assert httpx.post(f"{base}plain/run", json={"input": {}}, trust_env=False).status_code == 401


def test_curl(sdk: Any, api: Any) -> None:
    key = f"Authorization: Bearer {api.server.variables['SEATRIAL_API_KEY']}"
    url = f"{api.server.url}/v2/plain/runsync"
    command = ["curl", "-sS", "-X", "POST", url, "-H", key, "-d", '{"input": {"code": "3"}}']
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(told)["output"] == {"value": 3}


def test_an_output_that_is_a_file_is_a_data_url(sdk: Any, api: Any) -> None:
    code = "class Handler:\n    def paint(self):\n        return b'\\x89PNG\\r\\n\\x1a\\n....', 'image/png'\n"
    manifest = '[package]\nhandler = "handler:Handler"\n[tasks.paint]\n[tasks.paint.output]\nmedia_type = "image/png"\n'
    api.serve("painter", {"handler.py": code, "seatrial.toml": manifest}, unproven=True)
    assert sdk("painter").run_sync({"task": "paint"}, timeout=20).startswith("data:image/png;base64,iVBORw0K")


def until(raw: httpx.Client, job_id: str, state: str) -> dict[str, Any]:
    """The status document once it shows that state."""
    give_up = time.monotonic() + 30
    while (told := raw.get(f"/status/{job_id}").json())["status"] != state:
        assert time.monotonic() < give_up, told
        time.sleep(0.05)
    return dict(told)
