"""The studio protocol on a port of its own: its clients as they are (httpx, curl), and our receiver of callbacks."""

from __future__ import annotations

import io
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from tests import forks
from tests.conftest import RunningServer, until
from typer.testing import CliRunner

from seatrial.cli.main import app

SECRET = "test-secret"
PAINTER = {
    "seatrial.toml": """
        [package]
        name = "painter"
        handler = "painter:Painter"

        [tasks.inference.input]
        prompt = { type = "string", required = true }
        seed = { type = "integer", default = 0 }
        width = { type = "integer", default = 64 }
        height = { type = "integer", default = 64 }
        lora_path = { type = "string" }
        gate = { type = "integer" }

        [tasks.inference.output]
        media_type = "image/png"

        [[tasks.inference.samples]]
        name = "clouds"
        input = "clouds.json"

        [tasks.train]
        exclusive = true

        [tasks.train.input]
        steps = { type = "integer", required = true }

        [[tasks.train.samples]]
        name = "short"
        input = "short.json"
    """,
    "clouds.json": '{"prompt": "clouds", "seed": 7, "width": 128, "height": 128}',
    "short.json": '{"steps": 2}',
    "painter.py": """
        import contextlib, random, socket, struct, zlib

        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        def png(width, height, chance):  # a slope with grain
            size = width * 3
            slope = int.from_bytes(bytes(20 + x * 190 // size for x in range(size)), "big")
            grain = int.from_bytes(b"\\x1f" * size, "big")
            rows = (slope + (chance.getrandbits(size * 8) & grain) for _ in range(height))
            pixels = b"".join(b"\\0" + row.to_bytes(size, "big") for row in rows)
            head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
            parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(pixels, 1)), chunk(b"IEND", b"")
            return b"\\x89PNG\\r\\n\\x1a\\n" + b"".join(parts)

        class Painter:
            def inference(self, prompt, context, seed=0, width=64, height=64, lora_path=None, gate=None):
                if gate:
                    context.progress({"step": 1, "steps": 4})
                    with socket.create_connection(("127.0.0.1", gate)) as connection:
                        connection.makefile().read()
                if prompt == "refuse":
                    raise ValueError("no such picture")
                return png(width, height, random.Random(f"{prompt}/{seed}/{lora_path}")), "image/png"

            def train(self, steps):
                return {"lora_path": f"loras/{steps}"}
    """,
}

HELD_AT_LOAD = """with contextlib.suppress(ConnectionError):
            socket.create_connection(("127.0.0.1", PORT)).makefile().read()

        class Painter:"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, str]]:
    """A server with the protocol on a port of its own, and that port's URL."""
    server = RunningServer(tmp_path_factory.mktemp("studio") / "data", ["--studio", "painter:0"]).start()
    assert server.process is not None
    assert server.process.stdout is not None
    line = server.process.stdout.readline()
    yield server, line.split()[-1]
    server.terminate()


@pytest.fixture
def studio(served: tuple[RunningServer, str], api_of: Callable[[Any], Any]) -> Iterator[httpx.Client]:
    server, url = served
    api = api_of(server)
    if api.http.get("/v1/endpoints/painter").status_code == 404:
        api.serve("painter", PAINTER, workers=2)
    with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[httpx.Client]:
    """`seatrial callbacks`."""
    command = ["callbacks", "--port", 0, "--json", "--secret", SECRET, "--folder", tmp_path / "in"]
    process = forks.start(*command, stderr=None)
    assert process.stdout is not None
    with httpx.Client(base_url=json.loads(process.stdout.readline())["page"], trust_env=False, timeout=20) as client:
        yield client
    process.send_signal(signal.SIGINT)
    process.wait(60)
    process.close()


def ended(studio: httpx.Client, job_id: str, kind: str = "inference") -> dict[str, Any]:
    """As the protocol's clients poll."""

    def look() -> dict[str, Any] | None:
        told = dict(studio.get(f"/{kind}/status/{job_id}").raise_for_status().json())
        return told if told["status"] in ("completed", "failed", "timeout") else None

    return dict(until(look))


def told(studio: httpx.Client, job_id: str) -> dict[str, Any]:
    """What became of its callback."""
    return dict(until(lambda: studio.get(f"/inference/status/{job_id}").json().get("callback")))


def test_a_picture_is_ordered_fetched_and_called_back(studio: httpx.Client, receiver: httpx.Client) -> None:
    order = {
        "prompt": "a harbour", "seed": 3, "width": 128, "height": 96, "lora_path": "loras/ink", "job_id": "job_1",
        "callback_url": f"{receiver.base_url}/cb", "callback_secret": SECRET,
        "expiry": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    }  # fmt: skip
    answer = studio.post("/inference", json=order)
    assert answer.status_code == 200
    accepted = answer.json()
    urls = {"status_url": "/inference/status/job_1", "result_url": "/inference/result/job_1"}
    assert accepted == accepted | {"accepted": True, "job_id": "job_1", "status": "queued"} | urls

    status = ended(studio, "job_1")
    assert status["status"] == "completed", status
    picture = studio.get(status["result_url"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(picture.content)).size == (128, 96)

    callback = told(studio, "job_1")
    wanted = {"status": "delivered", "status_code": 200, "payload_status": "completed"}
    assert callback == callback | wanted
    (got,) = receiver.get("/callbacks").json()["callbacks"]
    words = {"job_id": "job_1", "status": "completed", "provided_secret": SECRET, "has_image": True}
    assert got == got | words | {"image_size": len(picture.content), "completed_at": status["completed_at"]}
    assert got["image_url"] == status["image_url"] == f"{studio.base_url}/inference/result/job_1"
    assert Path(got["saved_path"]).read_bytes() == picture.content


def test_curl_without_a_name_or_a_callback(studio: httpx.Client) -> None:
    curl = ["curl", "-sS", f"{studio.base_url}/inference", "-H", "Content-Type: application/json"]
    done = subprocess.run([*curl, "-d", '{"prompt": "x"}'], capture_output=True, text=True, check=True)
    job_id = json.loads(done.stdout)["job_id"]
    status = ended(studio, job_id)
    assert (status["status"], status["callback"]["status"]) == ("completed", "skipped")
    picture = Image.open(io.BytesIO(studio.get(f"/inference/result/{job_id}").content))
    assert picture.size == (1024, 1024)  # the protocol's defaults, not the package's


def test_a_name_is_taken_until_its_job_has_ended(studio: httpx.Client, gate: Any) -> None:
    held = {"prompt": "x", "width": 64, "job_id": "again", "gate": int(gate.code[5:-1])}
    assert studio.post("/inference", json=held).status_code == 200
    gate.reached()
    assert studio.get("/inference/status/again").json()["status"] == "processing"
    assert studio.get("/inference/result/again").status_code == 404
    twice = [studio.post("/inference", json=held), studio.post("/inference", json={**held, "prompt": "y"})]
    assert [(one.status_code, one.json()["accepted"]) for one in twice] == [(409, False)] * 2
    gate.open()
    first = ended(studio, "again")
    second = {"prompt": "refuse", "job_id": "again"}
    assert studio.post("/inference", json=second).status_code == 200
    status = ended(studio, "again")
    assert (first["status"], status["status"], status["error"]) == ("completed", "failed", "no such picture")
    assert studio.get("/inference/result/again").status_code == 404


def test_how_far_a_job_is_shows_while_it_runs(studio: httpx.Client, served: Any, api_of: Any, gate: Any) -> None:
    held = {"prompt": "x", "width": 64, "height": 64, "job_id": "far", "gate": int(gate.code[5:-1])}
    assert studio.post("/inference", json=held).status_code == 200
    gate.reached()
    status = until(lambda: studio.get("/inference/status/far").json().get("progress"))
    http = api_of(served[0]).http
    (job,) = [
        one for one in http.get("/v1/jobs", params={"endpoint": "painter"}).json()["jobs"] if one["status"] == "running"
    ]
    shown = http.get(f"/v1/jobs/{job['id']}").json()["progress"]
    assert status == shown == {"step": 1, "steps": 4}
    assert "progress" in served[0].cli("jobs", "show", job["id"]).stdout
    gate.open()
    assert "progress" not in ended(studio, "far")


def test_a_callback_is_not_made_after_its_expiry(studio: httpx.Client, receiver: httpx.Client) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    order = {"prompt": "late", "width": 64, "height": 64, "job_id": "late", "expiry": past}
    studio.post("/inference", json={**order, "callback_url": str(receiver.base_url)}).raise_for_status()
    assert ended(studio, "late")["status"] == "completed"
    assert told(studio, "late") == told(studio, "late") | {"status": "expired", "payload_status": "completed"}
    assert receiver.get("/callbacks").json()["callbacks"] == []


def test_a_failed_job_is_called_back_and_a_receiver_that_refuses_is_told_of(
    studio: httpx.Client, receiver: httpx.Client
) -> None:
    order = {"prompt": "refuse", "job_id": "bad", "callback_url": str(receiver.base_url), "callback_secret": "another"}
    studio.post("/inference", json=order).raise_for_status()
    callback = told(studio, "bad")
    assert (callback["status"], callback["status_code"], callback["payload_status"]) == ("failed", 401, "failed")
    assert callback["response_preview"]
    (got,) = receiver.get("/callbacks").json()["callbacks"]
    assert got["answered"] == "refused"


def test_training_runs_alone_and_is_listed(studio: httpx.Client, served: Any, api_of: Any, gate: Any) -> None:
    held = {"prompt": "x", "width": 64, "height": 64, "job_id": "beside", "gate": int(gate.code[5:-1])}
    assert studio.post("/inference", json=held).status_code == 200
    gate.reached()
    order = {"job_type": "lora_training", "params": {"steps": 3}, "job_id": "lora_1"}
    answer = studio.post("/train", json=order)
    assert (answer.status_code, answer.json()["status_url"]) == (201, "/training/status/lora_1")
    studio.post("/inference", json={"prompt": "y", "width": 64, "height": 64, "job_id": "third"}).raise_for_status()
    assert ended(studio, "third")["status"] == "completed"  # a worker is free, and it is not for the training
    assert studio.get("/training/status/lora_1").json()["status"] == "queued"
    gate.open()
    status = ended(studio, "lora_1", "training")
    assert (status["status"], status["job_type"]) == ("completed", "training")
    assert studio.get(status["result_url"]).json() == {"lora_path": "loras/3"}
    trained = [one["job_id"] for one in studio.get("/jobs", params={"job_type": "training"}).json()["jobs"]]
    assert trained == ["lora_1"]
    job = api_of(served[0]).http.get("/v1/jobs", params={"endpoint": "painter", "task": "train"}).json()["jobs"][0]
    assert job["door"] == "studio"
    shown = studio.get(f"/training/status/{job['id']}").json()  # by our own name as well
    assert shown["job_id"] == "lora_1"


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/inference", b"{", 400, None),
        ("/inference", {}, 422, "prompt"),
        ("/inference", {"prompt": "x", "width": 63}, 422, "width"),
        ("/inference", {"prompt": "x", "num_inference_steps": 2.5}, 422, "num_inference_steps"),
        ("/inference", {"prompt": "x", "guidance_scale": True}, 422, "guidance_scale"),
        ("/inference", {"prompt": "x", "job_id": "../x"}, 422, "job_id"),
        ("/inference", {"prompt": "x", "expiry": "soon"}, 422, "expiry"),
        ("/inference", {"prompt": "x", "callback_secret": "a\r\nb"}, 422, "callback_secret"),
        ("/inference", {"prompt": "x", "callback_url": "file:///etc/passwd"}, 422, "callback_url"),
        ("/inference", {"prompt": "x", "sampler": "ddim"}, 422, "sampler"),
        ("/train", {"params": []}, 422, "params"),
        ("/train", {"params": {}}, 422, "steps"),
        ("/train", {"job_type": "distil", "params": {"steps": 1}}, 422, "job_type"),
        ("/nowhere", {}, 404, None),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(
    studio: httpx.Client, path: str, body: Any, status: int, field: str | None
) -> None:
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = studio.post(path, **sent)
    told = answer.json()
    assert (answer.status_code, told.get("field"), told["accepted"]) == (status, field, False), told
    assert told["detail"]


def test_health_and_strangers(studio: httpx.Client, served: tuple[RunningServer, str]) -> None:
    health = studio.get("/health").json()
    assert (health["status"], health["services"]) == ("healthy", {"inference": "running", "training": "running"})
    assert studio.get("/").status_code == 200
    assert studio.get("/inference/status/nobody").status_code == 404
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Authorization": "Bearer wrong"}):
        assert studio.get("/jobs", headers=headers).status_code == 401
    key = {"Authorization": f"Bearer {served[0].variables['SEATRIAL_API_KEY']}", "Host": "studio.example"}
    assert studio.get("/jobs", headers=key).status_code == 200


def test_one_that_is_not_in_service_is_verified_as_such(
    served: tuple[RunningServer, str], api_of: Callable[[Any], Any], gate: Any, tmp_path: Path
) -> None:
    """It is waited for while it starts; one that is not there, or has failed, is said to be so."""
    server, url = served
    api = api_of(server)
    api.http.delete("/v1/endpoints/painter")
    until(lambda: api.http.get("/v1/endpoints/painter").status_code == 404)
    contract = tmp_path / "studio.toml"
    contract.write_text('[[tasks.inference.samples]]\ninput = { prompt = "a slope" }\n')
    target = (f"studio+{url}", "--contract", str(contract), "--json")

    absent = CliRunner().invoke(app, ["verify", *target])
    line = json.loads(absent.stdout)["checks"][0]
    assert (absent.exit_code, line["id"], line["outcome"]) == (1, "endpoint.in_service", "failed")
    assert "inference: not deployed" in line["message"]
    assert CliRunner().invoke(app, ["stress", *target]).exit_code == 3

    held = HELD_AT_LOAD.replace("PORT", str(gate.port))
    api.begin("painter", PAINTER | {"painter.py": PAINTER["painter.py"].replace("class Painter:", held)})
    gate.reached()
    assert httpx.get(f"{url}/health", trust_env=False).json()["status"] == "starting"
    with ThreadPoolExecutor(1) as pool:
        verifying = pool.submit(CliRunner().invoke, app, ["verify", *target])
        gate.close()
        assert verifying.result(120).exit_code == 0


def test_verify_and_stress_find_nothing_wrong(studio: httpx.Client, tmp_path: Path) -> None:
    contract = tmp_path / "studio.toml"
    contract.write_text(
        '[tasks.inference.output]\nmedia_type = "image/png"\n\n[[tasks.inference.samples]]\n'
        'input = { prompt = "a slope", seed = 1, width = 128, height = 128 }\n\n'
        "[tasks.train]\nexclusive = true\n\n[[tasks.train.samples]]\ninput = { steps = 2 }\n"
    )
    target = (f"studio+{studio.base_url}", "--contract", str(contract), "--json")
    verified = CliRunner().invoke(app, ["verify", *target])
    assert verified.exit_code == 0, verified.stdout
    quick = ("--vary", "seed=1..3", "--rounds", "1", "--scenario", "concurrent", "--scenario", "interference")
    stressed = CliRunner().invoke(app, ["stress", *target, *quick])
    told = json.loads(stressed.stdout)
    assert (stressed.exit_code, told["passed"], told["bad"]) == (0, True, []), stressed.stderr
    callbacks = [one["callbacks"] for one in told["scenarios"]]
    assert callbacks == [{"expected": 10, "matched": 10, "told_again": 0}] * 2
