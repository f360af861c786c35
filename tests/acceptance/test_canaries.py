"""Canaries as users see them: on demand, in the history, in the metrics, as a webhook, and in AWS's words."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

OBEDIENT = Path(__file__).resolve().parents[1] / "packages" / "obedient"


class World:
    """What the sample asks how things are (`says`), and who is told when a canary fails (`told`)."""

    def __init__(self) -> None:
        world = self
        self.says = ""
        self.told: list[tuple[dict[str, str], bytes]] = []

        class Answer(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.sendall(world.says.encode())

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                world.told.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._asked = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer)
        self._hook = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        for server in (self._asked, self._hook):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def hook(self) -> str:
        return f"http://127.0.0.1:{self._hook.server_address[1]}/"

    @property
    def gate(self) -> str:
        return f"gate({self._asked.server_address[1]})"

    def package(self, endpoint: str, code: str = "") -> dict[str, str]:
        code = code or f"fail(OwnError('it rains')) if {self.gate} else 42"
        files = {name: (OBEDIENT / name).read_text() for name in ("obedient.py", "seatrial.toml")}
        files["seatrial.toml"] += f"\n[endpoint]\n{endpoint}\n"
        return files | {"samples/sum.json": json.dumps({"code": code}), "samples/sum.expect.json": "{}"}

    def close(self) -> None:
        for server in (self._asked, self._hook):
            server.shutdown()
            server.server_close()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def test_a_canary_on_demand(api: Any, world: World, eventually: Callable[..., Any]) -> None:
    """It passes, it fails and takes the endpoint out of service, and once things are mended it comes back."""
    settings = 'canary_minutes = 60\ncanary_policy = "take_out"'
    (version,) = api.serve("bird", world.package(settings), webhook=world.hook)["versions"]
    assert (version["canary_minutes"], version["canary_policy"]) == (60, "take_out")
    said = api.server.cli("canary", "bird").stdout
    assert all(word in said for word in ("passed", "sum", "succeeded"))
    assert world.told == []

    world.says = "foul"
    done = api.server.cli("canary", "bird", "--json", check=False)
    assert done.returncode == 1
    assert "the canary of bird failed: canary: Sample 'sum' of task 'do' failed: too_dark: it rains" in done.stderr
    canary = json.loads(done.stdout)
    assert (canary["state"], canary["cause"], canary["runs"][0]["state"]) == ("failed", "asked", "failed")
    job = api.job(canary["runs"][0]["job_id"])
    assert (job["door"], job["error"]["error_type"]) == ("canary", "too_dark")
    assert api.http.get("/v1/jobs", params={"endpoint": "bird"}).json()["jobs"] == [], "no client's list has it"

    out = api.endpoint("bird")
    assert (out["status"], out["active_version"], out["failure_reason"]) == ("Failed", None, canary["message"])
    described = api.server.client("sagemaker").describe_endpoint(EndpointName="bird")
    assert (described["EndpointStatus"], described["FailureReason"]) == ("Failed", canary["message"])
    assert "failed 20" in api.server.cli("endpoints", "show", "bird").stdout
    shown = api.server.cli("endpoints", "history", "bird").stdout.splitlines()
    assert [line.split("\t")[1:3] for line in shown if "it rains" in line] == [
        ["status", "Failed"],
        ["canary", "failed"],
    ]
    headers, body = eventually(lambda: next((one for one in world.told if b'"canary.failed"' in one[1]), None))
    event = Webhook(api.server.variables["SEATRIAL_WEBHOOK_SECRET"]).verify(body, headers)
    assert (event["type"], event["data"]["endpoint"], event["data"]["policy"]) == ("canary.failed", "bird", "take_out")

    world.says = ""
    back = api.server.cli("canary", "bird")
    assert "bird had left service: its last version is on trial again" in back.stderr
    assert "InService" in back.stdout
    events = api.http.get("/v1/endpoints/bird/history").json()["events"]
    assert [one["what"] for one in events] == [
        "InService", "Creating", "Failed", "failed", "passed", "InService", "Creating",
    ]  # fmt: skip
    assert {one["version"] for one in events} == {1}


def test_metrics_count_jobs_and_canaries(make_server: Any, api_of: Any, world: World) -> None:
    """And a canary answers as its sample did in the trial, where the drill found it to be the same each time."""
    api = api_of(make_server("--drill-seconds", "0.1"))
    api.serve("meter", world.package("", world.gate))
    api.run("meter")
    api.ended(api.submit("meter", "fail(OwnError('dark'))"))
    api.server.cli("canary", "meter")
    answer = api.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = answer.text.splitlines()
    jobs = 'seatrial_jobs_ended_total{endpoint="meter",error_type="%s",status="%s",task="do"} 1.0'
    for line in (
        jobs % ("", "succeeded"),
        jobs % ("too_dark", "failed"),
        'seatrial_canaries_total{endpoint="meter",status="passed"} 1.0',
        'seatrial_canary_failing{endpoint="meter"} 0.0',
        'seatrial_endpoint_status{endpoint="meter",status="InService"} 1.0',
        'seatrial_workers{endpoint="meter",state="ready"} 1.0',
        'seatrial_jobs{endpoint="meter",status="failed"} 1.0',
    ):
        assert line in lines, answer.text
    assert httpx.get(f"{api.server.url}/metrics", trust_env=False).status_code == 401

    world.says = "something else"
    done = api.server.cli("canary", "meter", check=False)
    assert done.returncode == 1
    assert "Sample 'sum' of task 'do' answered otherwise than in its trial: 'value' (" in done.stderr
    assert 'then, "something else" now).' in done.stderr
    assert 'write `varying = ["value"]` in [tasks.do.output]' in done.stderr
    world.says = ""
    api.server.cli("canary", "meter")


def test_where_there_is_nothing_to_run(api: Any) -> None:
    api.serve("bare", "no_samples", unproven=True)
    done = api.server.cli("canary", "bare", check=False)
    assert (done.returncode, "The version has no sample." in done.stderr) == (3, True)
    api.deploy("never", "broken_import")
    refused = api.http.post("/v1/endpoints/never/canary")
    assert (refused.status_code, refused.json()["error_type"]) == (409, "endpoint_not_in_service")
    assert refused.json()["remedy"].startswith("Deploy a mended package")
    assert api.http.post("/v1/endpoints/nobody/canary").status_code == 404


def test_settings_that_cannot_be(api: Any) -> None:
    for settings, valid in (({"canary_minutes": 0}, "1"), ({"canary_policy": "shrug"}, "take_out")):
        refused = api.put("odd", "obedient", **settings)
        assert (refused.status_code, refused.json()["field"]) == (422, next(iter(settings)))
        assert valid in refused.json()["valid"]
