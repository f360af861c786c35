"""A RunPod worker's package as it is: `handler.py` with `runpod.serverless.start`, run by the SDK that it imports."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import httpx
import pytest

# The SDK is that of the tests' own environment: `python` names it.
SYNC = """
    import os, time, runpod
    from runpod.serverless.utils.rp_validator import validate

    SCHEMA = {"count": {"type": int, "required": True}, "name": {"type": str, "required": False, "default": "you"}}


    def handler(job):
        given = job["input"]
        do = given.pop("do", None)
        print("at work on", job["id"])
        if do == "raise":
            raise ValueError("too dark")
        if do == "error":
            return {"error": "no face found", "error_type": "no_face", "frames": [1, 2]}
        if do == "dict error":
            return {"error": {"code": 7}}
        if do == "empty":
            return {}
        if do == "progress":
            runpod.serverless.progress_update(job, {"percent": 50})
            time.sleep(given.pop("seconds"))
        if do == "progress and done":
            runpod.serverless.progress_update(job, "too late")
            return "done"
        if do == "refresh":
            return {"refresh_worker": True, "pid": os.getpid()}
        if do == "pid":
            return os.getpid()
        if do == "config":
            return job["s3Config"]["accessSecret"][:4]
        if do == "sleep":
            time.sleep(600)
        checked = validate(given, SCHEMA)
        if "errors" in checked:
            return {"error": checked["errors"]}
        return checked["validated_input"]


    runpod.serverless.start({"handler": handler})
"""
ASYNC = """
    import asyncio, os, socket, runpod


    def gate(port):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.makefile().read()


    async def handler(job):
        if "port" in job["input"]:
            print("at the gate", job["id"])
            runpod.serverless.progress_update(job, {"port": job["input"]["port"]})
            await asyncio.to_thread(gate, job["input"]["port"])
        await asyncio.sleep(job["input"].get("seconds", 0))
        return {"pid": os.getpid(), "id": job["id"]}


    if __name__ == "__main__":
        runpod.serverless.start({"handler": handler, "concurrency_modifier": lambda now: 4})
"""
STREAM = """
    import runpod, socket


    def handler(job):
        for n in range(job["input"]["count"]):
            yield {"n": n}
            if n == 0 and "port" in job["input"]:
                with socket.create_connection(("127.0.0.1", job["input"]["port"])) as gate:
                    gate.makefile().read()
        if job["input"].get("then") == "raise":
            raise RuntimeError("in mid-stream")


    runpod.serverless.start({"handler": handler, "return_aggregate_stream": False})
"""
UNFIT = """
    import runpod


    @runpod.serverless.register_fitness_check
    def lights():
        raise RuntimeError("off")


    runpod.serverless.start({"handler": lambda job: 1})
"""
MANIFEST = '[package]\nlayout = "runpod"\n'
INPUT = json.dumps({"input": {"count": 2}})


@pytest.fixture
def serve(api: Any) -> Any:
    """Put one of these into service once; a client of its RunPod wire."""
    clients: list[httpx.Client] = []

    def serving(name: str, code: str, test_input: str = INPUT) -> httpx.Client:
        if api.http.get(f"/v1/endpoints/{name}").status_code == 404:
            api.serve(name, {"handler.py": code, "test_input.json": test_input}, python=sys.executable)
        key = {"Authorization": f"Bearer {api.server.variables['SEATRIAL_API_KEY']}"}
        base = f"{api.server.url}/v2/{name}"
        clients.append(httpx.Client(base_url=base, headers=key, timeout=60, trust_env=False))
        return clients[-1]

    yield serving
    for client in clients:
        client.close()


def run(client: httpx.Client, given: Any, **more: Any) -> dict[str, Any]:
    return dict(client.post("/runsync", json={"input": given, **more}).json())


def test_it_is_proved_with_its_own_test_input(serve: Any, api: Any) -> None:
    serve("sync", SYNC)
    endpoint = api.endpoint("sync")
    assert endpoint["status"] == "InService"
    stages = {one["stage"]: one for one in endpoint["versions"][-1]["stages"]}
    assert [one["sample"] for one in stages["prove"]["details"]["samples"]] == ["test_input"]


def test_answers(serve: Any, api: Any) -> None:
    sync = serve("sync", SYNC)
    assert run(sync, {"count": 3})["output"] == {"count": 3, "name": "you"}
    assert run(sync, {"do": "empty"}) | {"id": "", "delayTime": 0, "executionTime": 0} == {
        "id": "",
        "status": "COMPLETED",
        "output": {},
        "delayTime": 0,
        "executionTime": 0,
    }
    config = {"accessId": "a", "accessSecret": "secret", "bucketName": "b", "endpointUrl": "http://x"}
    assert run(sync, {"do": "config"}, s3Config=config)["output"] == "secr"
    job_id = run(sync, {"count": 1})["id"].removeprefix("sync-")
    lines = [line["text"] for line in api.http.get(f"/v1/jobs/{job_id}/logs").json()["lines"]]
    assert f"at work on {job_id}" in lines


def test_errors_are_kept_whole(serve: Any, api: Any) -> None:
    sync = serve("sync", SYNC)
    said = run(sync, {"do": "error"})
    assert (said["status"], said["error"]) == ("FAILED", "no face found")
    assert said["output"] == {"error_type": "no_face", "frames": [1, 2]}
    job = api.job(said["id"].removeprefix("sync-"))
    assert (job["error"]["error_type"], job["error"]["message"]) == ("no_face", "no face found")
    assert run(sync, {"do": "dict error"})["error"] == {"code": 7}
    missing = run(sync, {})
    assert missing["status"] == "FAILED"
    assert missing["error"] == ["count is a required input."]
    raised = json.loads(run(sync, {"do": "raise"})["error"])
    assert (raised["error_type"], raised["error_message"]) == ("<class 'ValueError'>", "too dark")
    assert "handler.py" in raised["error_traceback"]


def test_progress_until_it_is_final(serve: Any) -> None:
    sync = serve("sync", SYNC)
    job_id = sync.post("/run", json={"input": {"do": "progress", "seconds": 2, "count": 1}}).json()["id"]
    told = until(sync, job_id, lambda one: "output" in one)
    assert (told["status"], told["output"]) == ("IN_PROGRESS", {"percent": 50})
    done = until(sync, job_id, lambda one: one["status"] != "IN_PROGRESS")
    assert (done["status"], done["output"]) == ("COMPLETED", {"count": 1, "name": "you"})
    late = run(sync, {"do": "progress and done"})
    assert (late["status"], late["output"]) == ("COMPLETED", "done")
    assert sync.get(f"/status/{late['id']}").json()["output"] == "done"


def test_a_fresh_worker_when_asked_for(serve: Any) -> None:
    sync = serve("sync", SYNC)
    before = run(sync, {"do": "pid"})["output"]
    assert run(sync, {"do": "refresh"})["output"] == {"pid": before}
    assert run(sync, {"do": "pid"})["output"] != before


def test_a_sync_handler_is_killed_and_its_job_ends(serve: Any, is_alive: Any) -> None:
    sync = serve("sync", SYNC)
    pid = run(sync, {"do": "pid"})["output"]
    job_id = sync.post("/run", json={"input": {"do": "sleep"}}).json()["id"]
    until(sync, job_id, lambda one: one["status"] == "IN_PROGRESS")
    assert sync.post(f"/cancel/{job_id}").json()["status"] == "CANCELLED"
    until(sync, job_id, lambda one: one["status"] == "CANCELLED")
    assert not is_alive(pid)


def test_an_async_handler_is_cancelled_in_its_process(serve: Any) -> None:
    client = serve("async", ASYNC, json.dumps({"input": {}}))
    pid = run(client, {})["output"]["pid"]
    job_id = client.post("/run", json={"input": {"seconds": 600}}).json()["id"]
    until(client, job_id, lambda one: one["status"] == "IN_PROGRESS")
    client.post(f"/cancel/{job_id}")
    until(client, job_id, lambda one: one["status"] == "CANCELLED")
    assert run(client, {})["output"]["pid"] == pid


def test_as_many_at_once_as_the_concurrency_modifier_says(serve: Any, api: Any, make_gate: Any) -> None:
    client = serve("async", ASYNC, json.dumps({"input": {}}))
    pid = run(client, {})["output"]["pid"]
    gates = [make_gate() for _ in range(2)]
    ports = [int(gate.code.strip("gate()")) for gate in gates]
    jobs = [client.post("/run", json={"input": {"port": port}}).json()["id"] for port in ports]
    cancelled = client.post("/run", json={"input": {"seconds": 600}}).json()["id"]
    for gate in gates:
        gate.reached()
    for job_id, port in zip(jobs, ports, strict=True):
        assert until(client, job_id, lambda one: "output" in one)["output"] == {"port": port}
    until(client, cancelled, lambda one: one["status"] == "IN_PROGRESS")
    client.post(f"/cancel/{cancelled}")
    until(client, cancelled, lambda one: one["status"] == "CANCELLED")
    for gate in reversed(gates):
        gate.open()
    for job_id in jobs:
        ours = job_id.removeprefix("async-")
        done = until(client, job_id, lambda one: one["status"] == "COMPLETED")
        assert done["output"] == {"pid": pid, "id": ours}
        lines = [line["text"] for line in api.http.get(f"/v1/jobs/{ours}/logs").json()["lines"]]
        assert [line for line in lines if "at the gate" in line] == [f"at the gate {ours}"]


def test_a_stream(serve: Any, gate: Any) -> None:
    client = serve("stream", STREAM)
    port = int(gate.code.strip("gate()"))
    job_id = client.post("/run", json={"input": {"count": 3, "port": port}}).json()["id"]
    gate.reached()
    first = client.get(f"/stream/{job_id}").json()
    assert first == {"status": "IN_PROGRESS", "stream": [{"output": {"n": 0}}]}
    assert client.get(f"/stream/{job_id}").json()["stream"] == []
    gate.open()
    done = until(client, job_id, lambda one: one["status"] == "COMPLETED")
    assert done["output"] == [{"n": 0}, {"n": 1}, {"n": 2}]  # the result has all, aggregated or not
    rest = client.get(f"/stream/{job_id}").json()
    assert rest == {"status": "COMPLETED", "stream": [{"output": {"n": 1}}, {"output": {"n": 2}}]}
    assert client.get(f"/stream/{job_id}").json() == {"status": "COMPLETED", "stream": []}
    failed = run(client, {"count": 1, "then": "raise"})
    assert failed["status"] == "FAILED"
    assert "in mid-stream" in failed["error"]
    told = client.get(f"/stream/{failed['id']}").json()
    assert (told["status"], told["stream"]) == ("FAILED", [{"output": {"n": 0}}])


def test_what_is_no_worker_fails_its_trial(api: Any) -> None:
    for name, code, word in [
        ("none", "def handler(job):\n    return 1\n", "never calls runpod.serverless.start"),
        ("empty", "import runpod\nconfig = {}\nrunpod.serverless.start(config)\n", "without a handler"),
        (
            "unfit",
            UNFIT,
            "while it loaded",
        ),
    ]:
        files = {"handler.py": code, "seatrial.toml": MANIFEST, "test_input.json": INPUT}
        endpoint = api.deploy(f"bad-{name}", files, python=sys.executable)
        assert endpoint["status"] == "Failed"
        assert word in endpoint["failure_reason"], endpoint["failure_reason"]


def until(client: httpx.Client, job_id: str, is_it: Any) -> dict[str, Any]:
    give_up = time.monotonic() + 30
    while not is_it(told := client.get(f"/status/{job_id}").json()):
        assert time.monotonic() < give_up, told
        time.sleep(0.05)
    return dict(told)
