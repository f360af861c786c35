"""A Cog package as it is, and Cog's HTTP API in front of it: curl, our receiver, and Cog's own server beside it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import forks
from tests.conftest import RunningServer, until

PREDICT = """
import socket
from typing import List, Optional

from cog import BaseModel, BasePredictor, ConcatenateIterator, Input, Path


class Output(BaseModel):
    text: str
    note: Path
    pages: List[Path]


def opened(gate):
    with socket.create_connection(("127.0.0.1", gate)) as connection:
        connection.makefile().read()


class Predictor(BasePredictor):
    def setup(self) -> None:
        print("ready to go", flush=True)

    def predict(
        self,
        text: str = Input(description="What to say", default="ahoy"),
        n: int = Input(default=1, ge=1, le=3),
        style: str = Input(default="plain", choices=["plain", "loud"]),
        gate: Optional[int] = Input(default=None),
    ) -> str:
        print("working on", text, flush=True)
        if gate:
            opened(gate)
        if text == "fail":
            raise ValueError("no such text")
        self.record_metric("n", n)
        return text * n


def files(text: str = "ahoy", image: Optional[Path] = Input(default=None)) -> Output:
    given = image.read_text() if image else text
    for name in ("note", "0", "1"):
        with open(f"/tmp/{name}.txt", "w") as file:
            file.write(f"{name} {given}")
    return Output(text=given, note=Path("/tmp/note.txt"), pages=[Path("/tmp/0.txt"), Path("/tmp/1.txt")])


def stream(n: int = 3) -> ConcatenateIterator[str]:
    for number in range(n):
        yield f"{number} "


def train(steps: int = Input(default=2, ge=1)) -> dict:
    return {"steps": steps}
"""


def package(name: str, *, trains: bool = False) -> dict[str, str]:
    train = "train: predict.py:train\n" if trains else ""
    return {"cog.yaml": f"predict: predict.py:{name}\n{train}", "predict.py": PREDICT}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, str]]:
    """A server with Cog's API on a port of its own, and that port's URL."""
    server = RunningServer(tmp_path_factory.mktemp("cog") / "data", ["--cog", "talker:0"]).start()
    assert server.process is not None
    assert server.process.stdout is not None
    yield server, server.process.stdout.readline().split()[-1]
    server.terminate()


@pytest.fixture
def api(served: tuple[RunningServer, str], api_of: Callable[[Any], Any]) -> Any:
    api = api_of(served[0])
    if api.http.get("/v1/endpoints/talker").status_code == 404:
        api.serve("talker", package("Predictor", trains=True), python=sys.executable)
    return api


@pytest.fixture
def cog(served: tuple[RunningServer, str], api: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served[1], timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def at(api: Any, served: tuple[RunningServer, str]) -> Iterator[Callable[[str], httpx.Client]]:
    """Cog's API of another endpoint, under /cog/ENDPOINT."""
    clients: list[httpx.Client] = []

    def client(name: str) -> httpx.Client:
        if api.http.get(f"/v1/endpoints/{name}").status_code == 404:
            api.serve(name, package(name), python=sys.executable)
        key = {"Authorization": f"Bearer {served[0].variables['SEATRIAL_API_KEY']}"}
        clients.append(httpx.Client(base_url=f"{served[0].url}/cog/{name}", headers=key, timeout=30, trust_env=False))
        return clients[-1]

    yield client
    for one in clients:
        one.close()


class Gate:
    """Holds a prediction until it is let go."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(30)
        self.port = self._listener.getsockname()[1]

    def reached(self) -> socket.socket:
        return self._listener.accept()[0]

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()


@pytest.fixture
def hooks() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A receiver of webhooks: its URL, and what it was told."""
    told: list[dict[str, Any]] = []

    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            told[-1]["signature"] = self.headers["webhook-signature"]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", told
    server.shutdown()
    server.server_close()


# ------------------------------------------------------------------ the API


def test_curl_as_a_stranger_uses_it(cog: httpx.Client) -> None:
    def curl(*words: str) -> tuple[Any, str]:
        command = ["curl", "-s", "-w", "\n%{http_code}", *words]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        body, _, status = said.rpartition("\n")
        return json.loads(body), status

    as_json = ["-H", "Content-Type: application/json"]
    made, status = curl(f"{cog.base_url}/predictions", *as_json, "-d", '{"input": {"text": "ahoy ", "n": 2}}')
    assert (status, made["status"], made["output"]) == ("200", "succeeded", "ahoy ahoy ")
    assert made["logs"] == "working on ahoy \n"
    assert made["metrics"]["n"] == 2
    trained, _ = curl(f"{cog.base_url}/trainings", *as_json, "-d", '{"input": {"steps": 5}}')
    assert trained["output"] == {"steps": 5}
    refused, status = curl("-X", "POST", f"{cog.base_url}/shutdown")
    assert (status, refused["error_type"]) == ("501", "not_offered")


def test_the_same_id_is_the_same_prediction_also_after_its_end(cog: httpx.Client, gate: Gate) -> None:
    body = {"input": {"text": "once", "gate": gate.port}, "context": {"who": "me"}}
    first = cog.put("/predictions/once", json=body, headers={"Prefer": "respond-async"})
    assert (first.status_code, first.json()) == (202, {"id": "once", "status": "starting"})
    held = gate.reached()
    again = cog.put("/predictions/once", json=body, headers={"traceparent": "00-another-attempt"})
    assert (again.status_code, again.json()["status"]) == (202, "processing")
    assert again.json()["input"]["text"] == "once"
    waited = cog.put("/predictions/once", json=body, headers={"Prefer": "wait=0"})
    assert waited.status_code == 202
    held.close()
    until(lambda: cog.get("/predictions/once").json()["status"] == "succeeded")
    ended = cog.put("/predictions/once", json=body)
    assert (ended.status_code, ended.json()["output"]) == (200, "once")
    other = cog.put("/predictions/once", json={"input": {"text": "other"}})
    assert other.status_code == 409
    assert (other.json()["error_type"], other.json()["field"]) == ("idempotency_conflict", "id")


def test_predictions_queue_and_are_cancelled(cog: httpx.Client, gate: Gate) -> None:
    later = {"Prefer": "respond-async"}
    running = cog.post("/predictions", json={"input": {"gate": gate.port}}, headers=later).json()["id"]
    held = gate.reached()
    waiting = cog.post("/predictions", json={"input": {"text": "next"}}, headers=later).json()["id"]
    until(lambda: cog.get(f"/predictions/{waiting}").json()["status"] == "starting")  # handed out ahead, and taken back
    assert cog.post(f"/predictions/{running}/cancel").status_code == 200
    held.close()
    until(lambda: cog.get(f"/predictions/{running}").json()["status"] == "canceled")
    until(lambda: cog.get(f"/predictions/{waiting}").json()["status"] == "succeeded")
    assert cog.post(f"/predictions/{running}/cancel").status_code == 404
    assert cog.post("/predictions/none/cancel").status_code == 404


def test_webhooks_are_told_of_what_was_asked_for(cog: httpx.Client, gate: Gate, hooks: Any) -> None:
    url, told = hooks
    body = {"input": {"text": "hook", "gate": gate.port}, "webhook": url}
    assert cog.put("/predictions/hook", json=body, headers={"Prefer": "respond-async"}).status_code == 202
    held = gate.reached()
    until(lambda: any(one["logs"] == "working on hook\n" for one in told))
    assert told[0]["id"] == "hook"
    assert {one["status"] for one in told} == {"processing"}
    held.close()
    until(lambda: told[-1]["status"] == "succeeded")
    assert told[-1]["output"] == "hook"
    assert all(one["signature"].startswith("v1,") for one in told)

    told.clear()
    only = {"input": {"text": "end"}, "webhook": url, "webhook_events_filter": ["completed"]}
    assert cog.post("/predictions", json=only).json()["output"] == "end"
    until(lambda: told)
    assert [one["status"] for one in told] == ["succeeded"]
    assert cog.post("/predictions", json={"webhook": "ftp://x/"}).json()["detail"][0]["loc"] == ["body", "webhook"]


def test_files_are_urls_and_streams_are_events(at: Any) -> None:
    files = at("files")
    inline = files.post(
        "/predictions", json={"input": {"image": "data:text/plain;base64,aGVsbG8gdGhlcmUgYWxsIG9mIHlvdQ=="}}
    )
    output = inline.json()["output"]
    assert output["text"] == "hello there all of you"
    assert output["note"].startswith("data:text/plain;base64,")
    assert len(output["pages"]) == 2
    told = files.get("/openapi.json").json()["components"]["schemas"]
    assert told["Output"]["properties"]["note"] == {"type": "string", "format": "uri"}
    assert told["Input"]["properties"]["image"]["format"] == "uri"

    streaming = at("stream")
    with streaming.stream("POST", "/predictions", json={}, headers={"Accept": "text/event-stream"}) as answer:
        events = [line.removeprefix("event: ") for line in answer.iter_lines() if line.startswith("event: ")]
    assert (events[0], events[-1]) == ("start", "completed")
    assert streaming.post("/predictions", json={}).json()["output"] == ["0 ", "1 ", "2 "]
    assert files.post("/predictions", json={}, headers={"Accept": "text/event-stream"}).status_code == 406


VERIFIED = """
[tasks.predict]
latency_seconds_max = 20

[tasks.predict.output]
schema = { type = "string" }

[[tasks.predict.samples]]
name = "twice"
input = { text = "ahoy", n = 2 }
"""


@pytest.mark.slow  # a baseline, one by one, and what is under load
def test_verify_and_stress_find_nothing_wrong(cog: httpx.Client, tmp_path: Path) -> None:
    contract = tmp_path / "cog.toml"
    contract.write_text(VERIFIED)
    target = f"cog+{str(cog.base_url).rstrip('/')}"
    for command in (
        ["verify", target, "--contract", str(contract), "--json"],
        ["stress", target, "--contract", str(contract), "--scenario", "concurrent", "--concurrent", "6",
         "--sequential", "3", "--rounds", "1", "--vary", "n=1,2,3", "--no-callbacks", "--json"],
    ):  # fmt: skip
        ran = forks.run(*command)
        assert ran.returncode == 0, ran.stdout + ran.stderr


# ------------------------------------------------------------------ beside Cog's own server


@pytest.fixture
def theirs(tmp_path: Path, cog: httpx.Client) -> Iterator[httpx.Client]:
    """Cog's own server, unmodified. It holds requests against our document: its own checker reads what we make."""
    (tmp_path / "predict.py").write_text(PREDICT)
    (tmp_path / ".cog").mkdir()
    (tmp_path / ".cog" / "openapi_schema.json").write_text(cog.get("/openapi.json").text)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    environment = {**os.environ, "PORT": str(port), "COG_PREDICT_TYPE_STUB": "predict.py:Predictor"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = [sys.executable, "-m", "cog.server.http", "--host", "127.0.0.1"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:

        def is_ready() -> bool:
            try:
                return bool(client.get("/health-check").json()["status"] == "READY")
            except httpx.TransportError:
                return False

        until(is_ready)
        yield client
    process.terminate()
    process.wait(20)


TIMES = {"created_at", "started_at", "completed_at"}
BESIDE = {"error", "error_type", "status", "field", "valid", "remedy"}  # of a refusal, beside Cog's `detail`


def test_answers_are_those_of_cogs_own_server_but_for_what_differs_on_purpose(
    cog: httpx.Client, theirs: httpx.Client
) -> None:
    def both(method: str, path: str, **more: Any) -> tuple[httpx.Response, httpx.Response]:
        return cog.request(method, path, **more), theirs.request(method, path, **more)

    for body in ({"input": {"text": "a", "n": 2}}, {"id": "same", "input": {}}, {}):
        ours, original = both("POST", "/predictions", json=body)
        assert ours.status_code == original.status_code == 200
        assert ours.json().keys() == original.json().keys() | TIMES
        for name in ("output", "status", "logs"):
            assert ours.json()[name] == original.json()[name]
        assert ours.json()["metrics"].keys() == original.json()["metrics"].keys()

    ours, original = both("POST", "/predictions", json={"input": {"text": "fail"}})
    assert ours.status_code == original.status_code == 200
    assert ours.json().keys() == original.json().keys() | TIMES | {"error_type"}
    assert ours.json()["error"] == "no such text"
    assert original.json()["error"].endswith("ValueError: no such text")  # with words of its own before it
    assert (ours.json()["logs"], original.json()["logs"]) == ("working on fail\n", "")

    for given in ({"n": 9}, {"text": 3, "n": "x"}, {"style": "none"}):
        ours, original = both("POST", "/predictions", json={"input": given})
        assert ours.status_code == original.status_code == 422
        assert ours.json().keys() - BESIDE == original.json().keys() == {"detail"}
        assert _faults(ours) == _faults(original)
    ours, original = both("POST", "/predictions", json={"input": {"nn": 1}})
    assert (ours.status_code, original.status_code) == (422, 200)  # it drops what it does not know

    ours, original = both("PUT", "/predictions/a", json={"id": "b"})
    assert ours.status_code == original.status_code == 422
    (fault,), (wanted,) = ours.json()["detail"], original.json()["detail"]
    assert {name: fault[name] for name in wanted} == wanted

    for method, path, more, status in (
        ("POST", "/predictions", {"content": b"no json", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/predictions", {"data": {"a": "b"}}, 415),
        ("POST", "/predictions", {"json": {"webhook_events_filter": ["bad"]}}, 422),
        ("DELETE", "/predictions", {}, 405),
        ("GET", "/nowhere", {}, 404),
        ("POST", "/predictions/none/cancel", {}, 404),
    ):
        ours, original = both(method, path, **more)
        assert ours.status_code == original.status_code == status
        assert isinstance(ours.json(), dict)  # its own are plain text, or nothing
    assert cog.get("/predictions/same").status_code == 200
    assert theirs.get("/predictions/same").status_code == 405  # it keeps nothing

    ours, original = both("GET", "/")
    assert ours.json().keys() == original.json().keys()
    ours, original = both("GET", "/health-check")
    assert ours.json().keys() == original.json().keys()
    assert ours.json()["setup"].keys() == original.json()["setup"].keys()
    assert "ready to go\n" in ours.json()["setup"]["logs"]
    assert ours.json()["status"] == original.json()["status"] == "READY"


def _faults(answer: httpx.Response) -> set[tuple[str, str]]:
    """Place and kind of each; the words are each server's own."""
    return {(".".join(one["loc"]), one["type"]) for one in answer.json()["detail"]}
