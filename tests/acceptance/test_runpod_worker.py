"""RunPod's worker, unmodified, as a process that pulls an endpoint's jobs from here: what it loses is found again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from seatrial.domain.limits import OUTSIDE_POLL_SECONDS
from seatrial.http.dialects.runpod.worker import environment

HANDLER = """
    import asyncio, os, socket, runpod


    def gate(port):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            return connection.makefile().read()


    async def handler(job):
        given = job["input"]
        do = given.get("do")
        if do == "gate":  # a sync stretch: the worker's own loop stands still
            return gate(given["port"])
        if do == "wait":
            runpod.serverless.progress_update(job, "waiting")
            await asyncio.to_thread(gate, given["port"])
        if do == "raise":
            raise ValueError("too dark")
        if do == "error":
            return {"error": ["count is a required input."], "error_type": "bad_input", "seen": 1}
        if do == "empty":
            return {}
        return {"pid": os.getpid(), "id": job["id"], "secret": job.get("s3Config", {}).get("accessSecret")}


    runpod.serverless.start({
        "handler": handler,
        "concurrency_modifier": lambda now: int(os.environ.get("SIDE_BY_SIDE", "1")),
    })
"""
STREAM = """
    import runpod


    async def handler(job):
        for n in range(3):
            yield {"n": n}


    runpod.serverless.start({"handler": handler, "return_aggregate_stream": False})
"""
LOCAL = '[package]\nhandler = "local:do"\n[tasks.do]\nextra_fields = true\n[[tasks.do.samples]]\ninput = "a.json"\n'
FILES = {"local.py": "def do(**fields):\n    return {'here': True}\n", "seatrial.toml": LOCAL, "a.json": "{}"}
LEASE_SECONDS = 3


class Workers:
    """Starts worker processes with the environment that `seatrial describe` prints."""

    def __init__(self, server: Any, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, endpoint: str, code: str = HANDLER, **more: str) -> subprocess.Popen[bytes]:
        folder = self._folder / f"worker{len(self.processes)}"
        folder.mkdir()
        (folder / "handler.py").write_text(textwrap.dedent(code))
        script = environment(endpoint).replace("exec python", f"exec {sys.executable}")
        script = script.replace("$(hostname)-$$", folder.name).replace("PING_INTERVAL=5000", "PING_INTERVAL=1000")
        variables = {**self._server.environment, "HOME": str(folder), **more}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                ["bash", "-c", script], cwd=folder, env=variables, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(process)
        return process

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is not None:
                continue  # its number may be another process's by now
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that misses outside workers soon, with endpoints that have no workers of their own."""
    from tests.conftest import RunningServer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_OUTSIDE_LEASE_SECONDS", str(LEASE_SECONDS))
        server = RunningServer(tmp_path_factory.mktemp("runpod") / "data").start()
    yield server
    server.terminate()


@pytest.fixture
def outside(own: Any, api_of: Any, request: pytest.FixtureRequest) -> Iterator[tuple[Any, str, httpx.Client]]:
    """The native API, an endpoint of this test's own, and its RunPod wire."""
    api = api_of(own)
    name = request.node.name.removeprefix("test_").replace("_", "-")[:60].strip("-")
    api.serve(name, FILES, workers=0)
    key = {"Authorization": own.variables["SEATRIAL_API_KEY"]}
    client = httpx.Client(base_url=f"{own.url}/v2/{name}", headers=key, timeout=60, trust_env=False)
    yield api, name, client
    client.close()


@pytest.fixture
def workers(own: Any, tmp_path: Path) -> Iterator[Workers]:
    made = Workers(own, tmp_path)
    yield made
    made.close()


def run(client: httpx.Client, given: Any, **more: Any) -> str:
    return str(client.post("/run", json={"input": given, **more}).json()["id"])


def until(client: httpx.Client, job_id: str, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    give_up = time.monotonic() + 40
    while not is_it(told := client.get(f"/status/{job_id}").json()):
        assert time.monotonic() < give_up, told
        time.sleep(0.05)
    return dict(told)


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    return until(client, job_id, lambda one: one["status"] not in ("IN_QUEUE", "IN_PROGRESS"))


class Fake:
    """The worker's wire by hand, for what the SDK does only in mishaps."""

    def __init__(self, client: httpx.Client, name: str) -> None:
        self.client = client
        self.name = name

    def take(self, busy: int = 0) -> dict[str, Any] | None:
        answer = self.client.get(f"/job-take/{self.name}", params={"job_in_progress": busy})
        assert answer.status_code in (200, 204), answer.text
        assert answer.headers["connection"] == "close"  # else a result may be posted on one that is closed by then
        return dict(answer.json()) if answer.status_code == 200 else None

    def done(self, job_id: str, body: Any, stream: str = "false") -> int:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "charset": "utf-8"}
        url = f"/job-done/{self.name}/{job_id}"
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(url, params={"isStream": stream}, headers=headers, content=content).status_code

    def ping(self, *jobs: str) -> None:
        answer = self.client.get(f"/ping/{self.name}", params={"job_id": ",".join(jobs)} if jobs else {})
        assert answer.status_code == 200


def test_answers_errors_and_side_by_side(outside: Any, workers: Workers) -> None:
    api, name, client = outside
    workers.start(name, SIDE_BY_SIDE="3")
    config = {"accessId": "a", "accessSecret": "whisper", "bucketName": "b", "endpointUrl": "http://x"}
    job_ids = [run(client, {"n": n}, s3Config=config) for n in range(4)]
    done = [ended(client, one) for one in job_ids]
    assert [one["output"]["id"] for one in done] == job_ids
    assert {one["output"]["secret"] for one in done} == {"whisper"}
    assert len({one["output"]["pid"] for one in done}) == 1
    empty = ended(client, run(client, {"do": "empty"}))
    assert (empty["status"], empty["output"]) == ("COMPLETED", {})
    raised = ended(client, run(client, {"do": "raise"}))
    assert json.loads(raised["error"])["error_message"] == "too dark"
    refused = ended(client, run(client, {"do": "error"}))
    assert refused["error"] == ["count is a required input."]
    assert refused["output"] == {"error_type": "bad_input", "seen": 1}
    assert api.job(refused["id"])["error"]["error_type"] == "bad_input"
    health = client.get("/health").json()
    assert health["workers"]["idle"] + health["workers"]["running"] == 1
    # what any other door submits is served too
    assert api.ended(api.post(name, {"x": 1}).json()["id"])["status"] == "succeeded"


def test_a_worker_with_a_key_for_that_alone(outside: Any, own: Any, workers: Workers) -> None:
    _, name, client = outside
    owner = {"Authorization": own.variables["SEATRIAL_API_KEY"]}
    wanted = {"scopes": ["worker"], "endpoints": [name]}
    key = httpx.post(f"{own.url}/v1/keys", json=wanted, headers=owner).json()["api_key"]
    workers.start(name, SEATRIAL_API_KEY=key)
    assert ended(client, run(client, {"n": 1}))["status"] == "COMPLETED"
    refused = httpx.get(f"{client.base_url}requests", headers={"Authorization": key})
    assert refused.json()["error_type"] == "missing_scope"


def test_a_stream_without_a_whole(outside: Any, workers: Workers) -> None:
    _, name, client = outside
    workers.start(name, STREAM)
    job_id = run(client, {"n": 1})
    assert ended(client, job_id)["output"] == [{"n": 0}, {"n": 1}, {"n": 2}]
    told = client.get(f"/stream/{job_id}").json()
    assert told == {"status": "COMPLETED", "stream": [{"output": {"n": n}} for n in range(3)]}


def test_cancel_stops_the_task_and_the_worker_goes_on(outside: Any, workers: Workers, gate: Any) -> None:
    api, name, client = outside
    workers.start(name)
    job_id = run(client, {"do": "wait", "port": int(gate.code.strip("gate()"))})
    gate.reached()
    assert until(client, job_id, lambda one: "output" in one)["output"] == "waiting"
    client.post(f"/cancel/{job_id}")
    assert ended(client, job_id)["status"] == "CANCELLED"
    assert api.job(job_id)["stop_confirmed"] is True
    gate.open()
    assert ended(client, run(client, {}))["status"] == "COMPLETED"


@pytest.mark.slow  # as long as a server keeps an idle connection, and some more
def test_a_handler_that_holds_up_its_loop_does_not_lose_its_result(outside: Any, workers: Workers, gate: Any) -> None:
    api, name, client = outside
    workers.start(name)
    job_id = run(client, {"do": "gate", "port": int(gate.code.strip("gate()"))})
    gate.reached()
    time.sleep(7)
    gate.open("at last")
    assert ended(client, job_id)["output"] == "at last"
    assert api.job(job_id)["attempt"] == 1


@pytest.mark.slow  # about 7 s
def test_a_timeout_of_a_handler_that_cannot_stop(outside: Any, workers: Workers, gate: Any) -> None:
    _, name, client = outside
    workers.start(name)
    job_id = run(client, {"do": "gate", "port": int(gate.code.strip("gate()"))}, policy={"executionTimeout": 1000})
    gate.reached()
    told = ended(client, job_id)
    assert told["status"] == "TIMED_OUT"
    assert "whether it did is not known" in told["error"]
    gate.open("too late")  # what it posts now is answered 200, and dropped
    assert ended(client, run(client, {}))["status"] == "COMPLETED"
    assert client.get(f"/status/{job_id}").json() == told


@pytest.mark.slow  # 11 s, most of them a poll and a lease; of a worker that is killed the next test tells
def test_a_job_handed_out_after_sigterm_runs_again(outside: Any, workers: Workers) -> None:
    _, name, client = outside
    first = workers.start(name)
    assert ended(client, run(client, {}))["status"] == "COMPLETED"
    time.sleep(0.5)  # its poll for the next job is open by then
    os.kill(first.pid, signal.SIGTERM)
    time.sleep(0.5)  # the SDK stops its loops, and still takes what its open poll brings
    job_id = run(client, {})
    workers.start(name)
    assert ended(client, job_id)["status"] == "COMPLETED"
    assert first.wait(20) == 0


def test_a_killed_worker_is_missed_and_its_job_runs_again(outside: Any, workers: Workers, gate: Any) -> None:
    api, name, client = outside
    first = workers.start(name)
    job_id = run(client, {"do": "gate", "port": int(gate.code.strip("gate()"))})
    gate.reached()
    time.sleep(1.5)  # it has said so in a ping
    os.killpg(first.pid, signal.SIGKILL)
    workers.start(name)
    gate.reached()
    gate.open("by the second")
    assert ended(client, job_id)["output"] == "by the second"
    job = api.job(job_id)
    assert (job["attempt"], job["deaths"]) == (2, 1)


class Between:
    """A proxy that answers the first three posts of results with 500: the server never sees them."""

    def __init__(self, url: str) -> None:
        between = self
        self.refused = 0
        self.asking = asking = httpx.Client(base_url=url, timeout=30, trust_env=False)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._pass_on(None)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if "/job-done/" in self.path and between.refused < 3:
                    between.refused += 1
                    self._answer(500, b"{}")
                else:
                    self._pass_on(body)

            def _pass_on(self, body: bytes | None) -> None:
                kept = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                answer = asking.request(self.command, self.path, content=body, headers=kept)
                self._answer(answer.status_code, answer.content)

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except ConnectionError:
                    pass  # the worker was killed while its poll was open

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = False  # closing waits for them: a poll may be open
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.asking.close()


@pytest.mark.slow  # the SDK pauses for seven seconds between its three posts
def test_a_result_that_the_sdk_could_not_post_is_made_again(outside: Any, own: Any, workers: Workers) -> None:
    api, name, client = outside
    between = Between(own.url)
    try:
        workers.start(name, SEATRIAL_URL=between.url)
        job_id = run(client, {"n": 1})
        assert ended(client, job_id)["status"] == "COMPLETED"
        assert between.refused == 3
        job = api.job(job_id)
        assert (job["attempt"], job["deaths"]) == (2, 1)  # a job whose result can never be posted ends some day
    finally:
        workers.close()
        between.close()


def test_a_result_that_was_not_taken_is_made_again(outside: Any) -> None:
    """After three posts that fail the SDK drops the result and asks for more, with nothing in progress."""
    api, _, client = outside
    worker = Fake(client, "w1")
    job_id = run(client, {"n": 1})
    assert api.job(job_id)["waits_for"].startswith("an outside worker")
    assert (worker.take() or {})["id"] == job_id
    assert (worker.take() or {})["id"] == job_id
    assert worker.done(job_id, {"output": 2}) == 200
    assert ended(client, job_id)["output"] == 2
    assert api.job(job_id)["attempt"] == 1


def test_what_a_stale_attempt_posts_is_answered_and_dropped(outside: Any) -> None:
    _, _, client = outside
    slow, quick = Fake(client, "slow"), Fake(client, "quick")
    job_id = run(client, {"n": 1})
    assert (slow.take() or {})["id"] == job_id
    slow.ping(job_id)
    slow.ping()  # it has it no more
    assert (quick.take() or {})["id"] == job_id
    assert slow.done(job_id, {"output": "slow"}) == 200
    assert client.get(f"/status/{job_id}").json()["status"] == "IN_PROGRESS"
    assert quick.done(job_id, {"output": "quick"}) == 200
    assert slow.done(job_id, {"error": "late"}) == 200
    assert ended(client, job_id)["output"] == "quick"


def test_bodies_as_the_sdk_posts_them(outside: Any) -> None:
    """JSON under a form's content type; progress after the end; `{}`; nonsense."""
    api, _, client = outside
    worker = Fake(client, "w1")

    def next_job() -> str:
        job_id = run(client, {})
        assert (worker.take() or {})["id"] == job_id
        return job_id

    first = next_job()
    assert worker.done(first, {"status": "IN_PROGRESS", "output": 50}) == 200
    assert client.get(f"/status/{first}").json()["output"] == 50
    assert worker.done(first, {"output": "größe"}) == 200
    assert worker.done(first, {"status": "IN_PROGRESS", "output": 60}) == 200
    assert client.get(f"/status/{first}").json()["output"] == "größe"
    second = next_job()
    assert worker.done(second, {}) == 200
    assert ended(client, second)["output"] == {}
    third = next_job()
    assert worker.done(third, {"output": []}, stream="true") == 200
    assert ended(client, third)["output"] == []
    fourth = next_job()
    assert worker.done(fourth, b"output=1") == 200
    assert "no JSON" in ended(client, fourth)["error"]
    fifth = next_job()
    assert worker.done(fifth, {"error": json.dumps({"a": 1}), "output": {"error_type": "odd"}}) == 200
    assert ended(client, fifth)["error"] == '{"a": 1}'
    assert api.job(fifth)["error"]["error_type"] == "odd"


@pytest.mark.slow  # polls are held for 10 s
def test_batches_and_polls(outside: Any, own: Any) -> None:
    _, _, client = outside
    job_ids = [run(client, {"n": n}) for n in range(3)]
    answer = client.get("/job-take-batch/w1", params={"batch_size": 5, "job_in_progress": 0})
    assert answer.headers["content-type"] == "application/json"
    assert [one["id"] for one in answer.json()] == job_ids
    assert [one["input"] for one in answer.json()] == [{"n": n} for n in range(3)]
    for job_id in job_ids:
        assert Fake(client, "w1").done(job_id, {"output": 1}) == 200
    began = time.monotonic()
    answer = client.get("/job-take/w1", params={"job_in_progress": 0})
    assert answer.status_code == 204
    assert time.monotonic() - began > 5  # held open
    assert OUTSIDE_POLL_SECONDS < 10  # and not so long that a SIGTERM waits for it
    unhealthy = client.get("/ping/w2", params={"status": "unhealthy", "check": "gpu", "reason": "lost"})
    assert unhealthy.status_code == 200
    assert client.get("/health").json()["workers"]["unhealthy"] == 1
    began = time.monotonic()
    wrong = httpx.get(f"{client.base_url}job-take/w1", headers={"Authorization": "no"}, trust_env=False)
    assert wrong.status_code == 401
    assert time.monotonic() - began > 0.9  # the SDK asks again at once
    missing = httpx.get(f"{own.url}/v2/missing/job-take/w1", headers=dict(client.headers), trust_env=False)
    assert missing.status_code == 404


def test_a_poll_that_nobody_reads_any_more_loses_nothing(outside: Any, own: Any) -> None:
    _, name, client = outside
    host, port = own.url.removeprefix("http://").split(":")
    key = own.variables["SEATRIAL_API_KEY"]
    with socket.create_connection((host, int(port))) as gone:
        asked = f"GET /v2/{name}/job-take/w1?x=1&job_in_progress=0 HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n"
        gone.sendall(asked.encode())
        time.sleep(0.3)
    job_id = run(client, {"n": 1})
    assert (Fake(client, "w2").take() or {}).get("id") == job_id


def test_the_environment_is_printed(outside: Any, own: Any) -> None:
    _, name, _ = outside
    printed = own.cli("describe", name, "--call", "runpod-worker").stdout
    assert f'RUNPOD_WEBHOOK_GET_JOB="$SEATRIAL_URL/v2/{name}/job-take/\\$ID?' in printed
    assert "runpod.Endpoint(" in own.cli("describe", name, "--call", "runpod").stdout


def test_the_end_of_an_endpoint_ends_what_its_outside_workers_hold(outside: Any) -> None:
    api, name, client = outside
    worker = Fake(client, "w1")
    job_id = run(client, {})
    assert (worker.take() or {})["id"] == job_id
    api.delete(name)
    job = api.ended(job_id)
    assert (job["status"], job["error"]["error_type"]) == ("failed", "endpoint_deleted")


@pytest.mark.slow  # about 7 s
def test_a_server_that_starts_again_hands_the_job_out_again(make_server: Any, api_of: Any) -> None:
    server = make_server()
    api = api_of(server)
    api.serve("e", FILES, workers=0)
    key = {"Authorization": server.variables["SEATRIAL_API_KEY"]}

    def connect() -> httpx.Client:
        return httpx.Client(base_url=f"{server.url}/v2/e", headers=key, timeout=60, trust_env=False)

    with connect() as client:
        job_id = run(client, {})
        assert (Fake(client, "w1").take() or {})["id"] == job_id
    server.terminate()
    server.start()
    api.reconnect()
    with connect() as client:
        worker = Fake(client, "w1")
        assert worker.done(job_id, {"output": "of the life before"}) == 200
        assert client.get(f"/status/{job_id}").json()["status"] == "IN_QUEUE"
        assert (worker.take() or {})["id"] == job_id
        assert worker.done(job_id, {"output": "again"}) == 200
        assert ended(client, job_id)["output"] == "again"
    assert api.endpoint("e")["workers"] == {"desired": 0, "ready": 0}


def test_a_key_that_is_revoked_while_its_worker_waits_gets_no_job(outside: Any, eventually: Callable[..., Any]) -> None:
    api, name, client = outside
    made = api.http.post("/v1/keys", json={"name": "box", "scopes": ["worker"], "endpoints": [name]}).json()
    told: list[int] = []

    def wait() -> None:
        with httpx.Client(headers={"Authorization": made["api_key"]}, timeout=60, trust_env=False) as box:
            told.append(box.get(f"{client.base_url}job-take/box", params={"job_in_progress": "0"}).status_code)

    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(lambda: client.get("/health").json()["workers"]["idle"] > 0, 20)
    api.http.delete(f"/v1/keys/{made['key']['id']}").raise_for_status()
    job_id = run(client, {})
    waiting.join(30)
    assert told == [204]
    assert client.get(f"/status/{job_id}").json()["status"] == "IN_QUEUE"
