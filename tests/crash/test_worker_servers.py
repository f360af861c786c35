"""A package's own server (layout http) in real worker processes: its contract, its failures, its end."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from seatrial.adapters.processes.descendants import Family
from seatrial.domain.work import HandlerFailed, LoadFailed, Program, WorkerDied, WorkTimedOut

SERVER = """
    import json, os, signal, sys, threading, time
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    BOTH = threading.Barrier(2)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words): pass

        def do_GET(self):
            self.say(200 if self.path == "/ping" else 404, b"")

        def do_POST(self):
            if "Content-Length" not in self.headers:
                return self.say(411, b"no length")
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                do = json.loads(asked).get("do")
            except ValueError:
                return self.say(422, b"the input is no JSON\\nTraceback ...", "text/plain")
            print("doing", do, flush=True)
            if do == "exit": os._exit(3)
            if do == "meet": BOTH.wait(20)
            if do == "crash": signal.raise_signal(signal.SIGSEGV)
            if do == "sleep": time.sleep(600)
            if do == "hang up": return self.connection.shutdown(2)
            if do == "fail": return self.say(500, json.dumps({"code": 500, "message": "too dark"}).encode())
            if do == "later": return self.say(429, b"busy", "text/plain")
            if do == "chunk":
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                return self.wfile.write(b"1\\r\\n1\\r\\n0\\r\\n\\r\\n")
            if do == "short":
                self.send_response(200)
                self.send_header("Content-Length", "9")
                self.end_headers()
                self.close_connection = True
                return self.wfile.write(b"1")
            if do == "much": return self.say(200, bytes(3_000_000), "application/x-own")
            seen = {name: os.environ.get(name) for name in sorted(os.environ) if name.startswith(("SAGEMAKER_", "SM_"))}
            told = {"path": self.path, "headers": dict(self.headers.items()), "env": seen, "here": os.getcwd(),
                    "port": self.server.server_address[1], "asked": json.loads(asked)}
            self.say(200, json.dumps(told).encode())

        def say(self, status, body, media_type="application/json"):
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    where = os.environ["PORT"] if "--told" in sys.argv else "8080"
    server = Server(("0.0.0.0", int(where)), Handler)
    if "--slow-to-end" in sys.argv:
        def leave(number, frame):
            time.sleep(0.3)
            print("left in peace", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, leave)
    if "--ignores-sigterm" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server.serve_forever()
"""
SLOW = pytest.mark.slow  # a server is started for each; the quick suite has one of each kind
FILES = {"serve.py": SERVER}


def program(*words: str, **more: Any) -> Program:
    return Program((sys.executable, "serve.py", *words), **more)


async def serving(yard: Any, *words: str, network: str | None = None, slots: int = 1, **more: Any) -> Any:
    worker = await yard.start(yard.spec("http", FILES, program=program(*words, network=network, slots=slots), **more))
    await worker.load()
    return worker


async def ask(yard: Any, worker: Any, **more: Any) -> Any:
    return json.loads((await yard.run(worker, **{"body": b"{}"} | more)).body)


async def test_two_servers_that_know_only_8080_side_by_side(yard: Any) -> None:
    workers = [await serving(yard) for _ in range(2)]
    answers = await asyncio.gather(*(ask(yard, worker) for worker in workers))
    assert [one["port"] for one in answers] == [8080, 8080]
    assert {one["env"]["SAGEMAKER_BIND_TO_PORT"] for one in answers} == {"8080"}


async def test_two_servers_on_the_machines_network_have_a_port_each(yard: Any) -> None:
    workers = [await serving(yard, "--told", network="host") for _ in range(2)]
    answers = await asyncio.gather(*(ask(yard, worker) for worker in workers))
    first, second = (one["port"] for one in answers)
    assert first != second
    for one in answers:
        low, high = map(int, one["env"]["SAGEMAKER_SAFE_PORT_RANGE"].split("-"))
        assert low <= high
        assert not {first, second} & set(range(low, high + 1))


async def test_what_the_server_is_told(yard: Any) -> None:
    worker = await serving(yard, env={"SAGEMAKER_PROGRAM": "own.py"})
    attributes = {"custom_attributes": "c=1", "inference_id": "i-1", "hidden": "x"}
    told = await ask(yard, worker, accept="a/b", job_id="j", task="t", attributes=attributes, media_type="x/y")
    assert told["path"] == "/invocations"
    assert told["here"] == "/opt/ml/model"
    assert told["env"]["SM_MODEL_DIR"] == "/opt/ml/model"
    assert told["env"]["SAGEMAKER_PROGRAM"] == "own.py"
    headers = told["headers"]
    assert headers["X-Amzn-SageMaker-Custom-Attributes"] == "c=1"
    assert headers["X-Amzn-SageMaker-Inference-Id"] == "i-1"
    assert (headers["Content-Type"], headers["Accept"], headers["Content-Length"]) == ("x/y", "a/b", "2")
    assert (headers["X-Seatrial-Job-Id"], headers["X-Seatrial-Task"]) == ("j", "t")
    assert "x" not in headers.values()


async def test_input_and_answer_as_files(yard: Any, tmp_path: Path) -> None:
    worker = await serving(yard)
    body = yard.shared / "body"
    body.write_bytes(json.dumps({"do": "much", "pad": "x" * 5_000_000}).encode())
    answer = await yard.run(worker, body=body)
    assert isinstance(answer.body, Path)
    assert answer.body.stat().st_size == 3_000_000
    assert answer.media_type == "application/x-own"
    assert answer.reading.memory_bytes > 15_000_000  # of worker and server


OTHER_ANSWERS = (
    (b"no json", "input_refused", "the input is no JSON", 422),
    (b'{"do": "fail"}', "handler_error", "too dark", 500),
    (b'{"do": "later"}', "handler_error", "busy", 429),
    (b'{"do": "chunk"}', "output_not_serialisable", "no Content-Length", None),
)


async def test_other_answers_fail_the_job_and_leave_the_worker(yard: Any) -> None:
    worker = await serving(yard)
    for body, error_type, message, status in OTHER_ANSWERS:
        with pytest.raises(HandlerFailed) as failed:
            await yard.run(worker, body=body)
        failure = failed.value.failure
        assert failure.error_type == error_type
        assert message in failure.message
        assert failure.details.get("status_code") == status
        assert failure.details["remedy"]
    assert (await ask(yard, worker))["port"] == 8080


@pytest.mark.parametrize(
    ("do", "said"),
    [
        ("exit", "left with exit code 3"),
        pytest.param("crash", "killed by SIGSEGV", marks=SLOW),
        pytest.param("short", "without an answer", marks=SLOW),
    ],
)
async def test_a_server_that_dies_takes_its_worker_with_it(yard: Any, do: str, said: str) -> None:
    worker = await serving(yard)
    with pytest.raises(WorkerDied) as died:
        await yard.run(worker, body=json.dumps({"do": do}).encode())
    assert died.value.begun
    assert not died.value.by_us
    assert said in died.value.failure.message


async def test_a_request_that_hangs_times_out_and_every_process_goes(yard: Any) -> None:
    worker = await serving(yard)
    family = Family(worker.pid, worker.id)
    assert len(family.members()) == 2
    with pytest.raises(WorkTimedOut):
        await yard.run(worker, body=b'{"do": "sleep"}', timeout_ms=300)
    assert family.members() == []


async def test_requests_side_by_side(yard: Any) -> None:
    worker = await serving(yard, slots=2)
    meeting = [yard.run(worker, body=b'{"do": "meet"}') for _ in range(2)]
    first, second = await asyncio.gather(*meeting)
    assert json.loads(first.body)["asked"] == json.loads(second.body)["asked"] == {"do": "meet"}
    with pytest.raises(HandlerFailed):
        await yard.run(worker, body=b'{"do": "fail"}')
    works = [yard.work(body=json.dumps({"do": do}).encode()) for do in ("sleep", "exit")]
    outcomes = await asyncio.gather(*map(worker.run, works), return_exceptions=True)
    assert [(type(one), getattr(one, "begun", None)) for one in outcomes] == [(WorkerDied, True)] * 2


@SLOW
async def test_one_that_is_late_ends_all_and_only_it_has_timed_out(yard: Any) -> None:
    worker = await serving(yard, slots=3)
    works = [yard.work(body=b'{"do": "sleep"}', timeout_ms=ms) for ms in (20_000, 400, 20_000)]
    first, late, last = await asyncio.gather(*map(worker.run, works), return_exceptions=True)
    assert isinstance(late, WorkTimedOut)
    assert [(type(one), one.by_us) for one in (first, last)] == [(WorkerDied, True)] * 2  # type: ignore[union-attr]


@SLOW
async def test_its_end_is_sigterm_first(yard: Any) -> None:
    worker = await serving(yard, "--slow-to-end")
    await worker.stop(5)
    assert "left in peace" in yard.logs.texts(None)


@SLOW
async def test_it_dies_with_its_worker(yard: Any) -> None:
    worker = await serving(yard, "--ignores-sigterm")
    family = Family(worker.pid, worker.id)
    os.kill(worker.pid, signal.SIGKILL)
    await worker.wait_gone()
    assert family.members() == []


@SLOW
async def test_a_server_that_dies_while_idle_ends_its_worker(yard: Any) -> None:
    worker = await serving(yard)
    (server,) = [one.pid for one in Family(worker.pid, worker.id).members() if one.pid != worker.pid]
    os.kill(server, signal.SIGKILL)
    failure = await worker.wait_gone()
    assert "killed by SIGKILL" in failure.message


@pytest.mark.slow  # it is asked how it is every 10 s, and given up after three bad answers
async def test_a_server_that_hangs_while_idle_is_given_up(yard: Any) -> None:
    worker = await serving(yard)
    (server,) = [one.pid for one in Family(worker.pid, worker.id).members() if one.pid != worker.pid]
    os.kill(server, signal.SIGSTOP)
    failure = await asyncio.wait_for(worker.wait_gone(), 90)
    assert "without an answer" in failure.message
    assert any("3 times in a row" in line for line in yard.logs.texts(None))


async def test_without_a_private_view_it_is_told_its_port_and_its_model(open_yard: Any, tmp_path: Path) -> None:
    worker = await serving(open_yard, "--told")
    told = await ask(open_yard, worker)
    assert told["port"] != 8080
    assert told["env"]["SM_MODEL_DIR"].startswith(str(tmp_path))
    worker = await open_yard.start(open_yard.spec("http", FILES, program=program("--told", network="own")))
    with pytest.raises(LoadFailed, match="network of its own"):
        await worker.load()


LISTENS_ELSEWHERE = "import socket, time; s = socket.create_server(('127.0.0.1', 5000)); time.sleep(60)"
ANSWERS_BADLY = """
import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_error(503)
print("about to serve", flush=True)
http.server.HTTPServer(("127.0.0.1", 8080), H).serve_forever()
"""


@pytest.mark.parametrize(
    ("command", "error_type", "said"),
    [
        (("no-such-program",), "load_failed", "'no-such-program' cannot be run"),
        (("sh", "-c", "echo dark >&2; exit 4"), "load_failed", "ended with exit code 4 before it answered GET /ping"),
        pytest.param(("python", "-c", LISTENS_ELSEWHERE), "load_timeout", "it listens on 127.0.0.1:5000", marks=SLOW),
        pytest.param(
            ("python", "-c", ANSWERS_BADLY), "load_timeout", "(status 503); it listens on 127.0.0.1:8080", marks=SLOW
        ),
    ],
)
async def test_a_server_that_does_not_come_up(yard: Any, command: Any, error_type: str, said: str) -> None:
    spec = yard.spec("http", FILES, program=Program(command), load_timeout_seconds=2.0)
    worker = await yard.start(spec)
    with pytest.raises(LoadFailed) as failed:
        await worker.load()
    failure = failed.value.failure
    assert failure.error_type == error_type
    assert said in failure.message
    assert failure.details["remedy"]
    if "dark" in command[-1]:
        assert "dark" in str(failure.details["traceback"])
