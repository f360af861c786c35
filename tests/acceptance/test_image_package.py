"""A package that names a container image: the same contract, run by podman on a root file system made here."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import until

from seatrial.adapters.containers.images import EngineImages

REPOSITORY = Path(__file__).resolve().parents[2]
SERVE = """\
#!/usr/bin/python3
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words): pass

    def do_GET(self): self.say(200, b"")

    def do_POST(self):
        try:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        except ValueError:
            return self.say(400, b"no JSON")
        if os.environ.get("BROKEN"): return self.say(500, b"too dark")
        if asked.get("do") == "sleep": time.sleep(600)
        told = {"files": sorted(os.listdir("/opt/ml/model")), "started": sys.argv[0], "port": os.environ["PORT"],
                "networks": os.listdir("/sys/class/net"), "mode": os.environ["MODE"],
                "weights": open("/opt/ml/model/w.bin").read()}
        try:
            open("/opt/ml/model/new", "w")
        except OSError as error:
            told["write"] = error.strerror
        self.say(200, json.dumps(told).encode())

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
LIMITS = "--ulimit=nofile=1024:1024 --ulimit=nproc=500:500"  # podman's own ask for more than a machine may give


def ran(*command: object, **more: Any) -> str:
    """What it printed; the test is skipped with its last words if it cannot be run here."""
    done = subprocess.run([str(one) for one in command], capture_output=True, **more)
    if done.returncode:
        pytest.skip(f"{command[0]}: {done.stderr.decode(errors='replace').strip()[-400:]}")
    return done.stdout.decode().strip()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """podman with a store of its own."""
    for package in ("podman", "debootstrap"):
        ran(REPOSITORY / "scripts/install-system-package", package)
    store = tmp_path_factory.mktemp("podman")
    words = f"podman --root={store}/root --runroot={store}/run"
    yield words
    subprocess.run([*words.split(), "unmount", "--all"], capture_output=True)
    subprocess.run([*words.split(), "system", "reset", "--force"], capture_output=True)
    shutil.rmtree(store, ignore_errors=True)


@pytest.fixture(scope="module")
def image(engine: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of an image with a server in it."""
    root = tmp_path_factory.mktemp("image") / "rootfs"
    ran("debootstrap", "--variant=minbase", "--include=python3", "bookworm", root)
    serve = root / "usr/local/bin/serve"
    serve.write_text(SERVE)
    serve.chmod(0o755)
    with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as tar:
        imported = ran(*engine.split(), "import", "--change", "CMD serve", "-", stdin=tar.stdout)
    shutil.rmtree(root)
    ran(*engine.split(), "run", "--rm", "--network=none", *LIMITS.split(), imported.splitlines()[-1], "true")
    return imported.splitlines()[-1].removeprefix("sha256:")


def package(image: str, more: str = "") -> dict[str, str]:
    toml = f"[package]\nimage = 'sha256:{image}'\n[env]\nMODE = 'fast'\n{more}\n[worker]\nload_timeout_seconds = 60\n"
    return {"seatrial.toml": toml, "samples/a.json": '{"text": "ahoy"}'}


@pytest.mark.slow  # it makes a root file system with debootstrap
@pytest.mark.timeout(900)
def test_an_image_is_served_like_any_package(
    engine: str,
    image: str,
    make_server: Callable[..., Any],
    api_of: Callable[[Any], Any],
    monkeypatch: Any,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("tests.acceptance.conftest.PATIENCE_SECONDS", 200)
    monkeypatch.setenv("SEATRIAL_CONTAINER_ENGINE", engine)
    monkeypatch.setenv("SEATRIAL_CONTAINER_OPTIONS", LIMITS)
    api = api_of(make_server())
    weights = tmp_path / "w.bin"
    weights.write_text("heavy")
    sha256 = hashlib.sha256(b"heavy").hexdigest()
    heavy = f"[[weights]]\npath = 'w.bin'\nuri = '{weights}'\nsha256 = '{sha256}'"
    api.serve("boxed", package(image, heavy), workers=2)
    jobs = [api.post("boxed", {}).json()["id"] for _ in range(4)]
    for job in jobs:
        told = api.http.get(f"/v1/jobs/{job}/result", params={"wait": 30}).json()
        assert told == {
            "files": ["samples", "seatrial.toml", "w.bin"],
            "weights": "heavy",
            "started": "/usr/local/bin/serve",
            "port": "8080",
            "networks": ["lo"],
            "mode": "fast",
            "write": "Read-only file system",
        }
    running = lambda: ran(*engine.split(), "ps", "--all", "--quiet").split()  # noqa: E731
    until(lambda: len(running()) == 2)  # the second worker comes after the trial
    slow = api.post("boxed", {"do": "sleep"}).json()["id"]
    api.http.get("/v1/jobs/" + slow, params={"wait": 2})
    assert api.http.post(f"/v1/jobs/{slow}/cancel").status_code in (200, 202)
    assert api.ended(slow)["status"] == "cancelled"
    broken = api.deploy("broken", package(image, "BROKEN = '1'"))
    assert broken["status"] == "Failed"
    assert "too dark" in broken["failure_reason"]
    absent = api.deploy("absent", package("0" * 64))
    assert absent["status"] == "Failed"
    assert "has no image" in absent["failure_reason"]
    api.delete("boxed")
    assert running() == []


@pytest.mark.slow  # it makes a root file system with debootstrap
@pytest.mark.timeout(900)
async def test_a_saved_image_in_the_package_is_loaded(engine: str, image: str, tmp_path: Path) -> None:
    images = EngineImages(engine, "")
    for form, name in (("oci-archive", "oci.tar"), ("docker-archive", "docker.tar"), ("oci-dir", "layout")):
        ran(*engine.split(), "save", "--format", form, "--output", tmp_path / name, image)
        lines: list[str] = []
        loaded = await images.prepare(name, tmp_path, lambda line, done, total, lines=lines: lines.append(line))
        assert loaded.id == f"sha256:{image}"
        assert lines
    assert json.loads(ran(*engine.split(), "image", "inspect", loaded.id))[0]["Id"] == image
