"""The receiver to test with, as senders and people see it: a real process, real requests, real signatures."""

from __future__ import annotations

import io
import json
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from standardwebhooks import Webhook
from tests import forks

CURLS_OWN = "application/x-www-form-urlencoded"  # what curl -d says, whatever is sent
SHARED, SIGNING = "test-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., httpx.Client]]:
    processes, clients = [], []

    def start(*options: str) -> httpx.Client:
        command = ["callbacks", "--port", 0, "--json", "--folder", tmp_path / "in", *options]
        process = forks.start(*command, stderr=None, cwd=tmp_path)
        processes.append(process)
        assert process.stdout is not None
        client = httpx.Client(base_url=json.loads(process.stdout.readline())["page"], trust_env=False, timeout=20)
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.close()
    for process in processes:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        process.close()


def picture(rows_black: int = 0) -> bytes:
    random = np.random.default_rng(5)
    slope = np.linspace(20, 220, 256)[:, None, None]
    pixels = (slope + random.normal(0, 12, (256, 256, 3))).clip(0, 255).astype("uint8")
    pixels[256 - rows_black :] = 0
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "png")
    return out.getvalue()


def send_form(client: httpx.Client, job_id: str, image: bytes, secret: str = SHARED) -> int:
    fields = {"job_id": job_id, "status": "completed", "completed_at": "2026-01-01T00:00:00Z"}
    files = {"image": ("../../image.png", image, "image/png")}
    return client.post("/cb", data=fields, files=files, headers={"X-Callback-Secret": secret}).status_code


def kept(client: httpx.Client, parts_looked_at: int) -> list[dict[str, Any]]:
    """The callbacks, once so many parts have been looked at; pictures are decoded after the answer."""
    change = -1
    for _ in range(20):
        told = client.get("/callbacks", params={"since": change, "wait": 5}).json()
        change = told["change"]
        if sum(part["kind"] != "" for one in told["callbacks"] for part in one["parts"]) >= parts_looked_at:
            return list(told["callbacks"])
    raise AssertionError(told)


def test_forms_of_a_studio_are_kept_with_their_pictures_judged(
    start: Callable[..., httpx.Client], tmp_path: Path
) -> None:
    client = start("--secret", SHARED)
    whole = picture()
    assert [
        send_form(client, "a", whole),
        send_form(client, "b", picture(120)),
        send_form(client, "c", whole[:9000]),
    ] == [200] * 3
    assert send_form(client, "d", whole, secret="another") == 401
    told = {one["job_id"]: one for one in kept(client, 3)}
    assert [told[one]["parts"][0]["valid"] for one in "abc"] == [True, False, False]
    assert "Partial render" in told["b"]["parts"][0]["reason"]
    assert "damaged" in told["c"]["parts"][0]["reason"]
    studio = {"status": "completed", "has_image": True, "image_size": len(whole), "provided_secret": SHARED}
    assert told["a"] | studio == told["a"]
    saved = Path(told["a"]["saved_path"])
    assert saved.resolve().is_relative_to(tmp_path / "in")
    assert saved.read_bytes() == whole == client.get(f"/callbacks/{told['a']['number']}/parts/0").content
    assert (told["d"]["signature"]["trust"], told["d"]["answered"], told["d"]["parts"]) == ("invalid", "refused", [])
    assert SHARED not in "".join(file.read_text() for file in (tmp_path / "in").rglob("*.json"))


def test_signed_json_is_verified_and_a_second_telling_is_known(start: Callable[..., httpx.Client]) -> None:
    client = start("--secret", SHARED, "--secret", SIGNING)
    body, now = json.dumps({"type": "job.succeeded", "data": {"job_id": "j", "status": "succeeded"}}), datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SIGNING).sign("msg_1", now, body),
    }
    old = {**headers, "webhook-timestamp": str(int(now.timestamp()) - 1_000)}
    sent = [(body, headers), (body, headers), (body + " ", headers), (body, old), (body, {})]
    assert [client.post("/x?job=1", content=one, headers=of).status_code for one, of in sent] == [
        200,
        200,
        401,
        401,
        401,
    ]
    told = client.get("/callbacks").json()["callbacks"]
    assert [one["signature"]["trust"] for one in told] == ["valid", "valid", "invalid", "invalid", "missing"]
    assert (told[0]["path"], told[0]["job_id"], told[0]["status"]) == ("/x?job=1", "j", "succeeded")
    assert [one["repeat_of"] for one in told[:2]] == [None, told[0]["number"]]


def test_it_fails_hangs_and_is_late_on_order_and_goes_on_with_its_folder(start: Callable[..., httpx.Client]) -> None:
    client = start("--fail", "1", "--fail-status", "500")
    assert [client.post("/", json={"id": "1"}).status_code for _ in range(2)] == [500, 200]
    assert client.put("/control", json={"hang": 1, "hang_seconds": 30, "delay_seconds": 0.3}).status_code == 200
    with pytest.raises(httpx.ReadTimeout):
        client.post("/", json={"id": "2"}, timeout=0.5)
    began = time.monotonic()
    assert client.post("/", json={"id": "3"}).status_code == 200
    assert time.monotonic() - began >= 0.3
    told = client.get("/callbacks").json()["callbacks"]
    assert [one["answered"] for one in told] == ["failed", "taken", "hung", "taken"]
    for wrong in ({"fail": -1}, {"nonsense": 1}, [], {"fail_status": 200}):
        assert client.put("/control", json=wrong).status_code == 422
    again = start()
    assert [one["number"] for one in again.get("/callbacks").json()["callbacks"]] == [1, 2, 3, 4]
    assert again.post("/", json={"id": "5"}).json()["number"] == 5
    assert again.delete("/callbacks").json() == {"forgotten": 5}


def test_strangers_neither_look_nor_run_anything_in_the_page(
    start: Callable[..., httpx.Client], tmp_path: Path
) -> None:
    client = start()
    files = {"image": ("x.svg", b"<svg onload=alert(1)>", "image/svg+xml"), "page": ("x.html", b"<p>", "text/html")}
    assert client.post("/", data={"job_id": "<script>"}, files=files).status_code == 200
    for number in (0, 1):
        part = client.get(f"/callbacks/1/parts/{number}")
        assert part.headers["content-type"] == "application/octet-stream"
        assert part.headers["content-disposition"].startswith("attachment")
    page = client.get("/")
    assert "<script>" not in page.text.replace("<script>\n", "")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert client.get("/callbacks", headers={"Host": "rebound.example"}).status_code == 421
    refused = forks.run("callbacks", "--host", "0.0.0.0", "--port", 0, cwd=tmp_path)
    assert (refused.returncode, "remedy: add --secret" in refused.stderr) == (1, True)
    guarded = start("--host", "0.0.0.0", "--secret", SHARED)
    assert [guarded.get(path).status_code for path in ("/", "/callbacks", "/control")] == [401] * 3
    assert guarded.get("/callbacks", auth=("anyone", SHARED)).status_code == 200
    assert guarded.get("/callbacks", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_json_sent_as_a_form_is_read_and_what_cannot_be_is_refused_at_the_start(
    start: Callable[..., httpx.Client], tmp_path: Path
) -> None:
    client = start()
    client.post("/run", content=b'{"id": "a-1", "status": "COMPLETED"}', headers={"Content-Type": CURLS_OWN})
    assert [one["job_id"] for one in client.get("/callbacks").json()["callbacks"]] == ["a-1"]
    for option, value in (("--secret", "whsec_!!"), ("--base-url", "my tunnel")):
        done = forks.run("callbacks", "--port", 0, option, value, cwd=tmp_path)
        assert (done.returncode, option in done.stderr, "remedy" in done.stderr) == (2, True, True)
