"""`seatrial demo` with the app's own script and a small stand-in for its package; nothing of it stays behind."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HANDLER = """\
import struct
import zlib
from pathlib import Path


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class FloorPlan:
    def find_rooms(self, image: Path):
        width, height = struct.unpack(">II", Path(image).read_bytes()[16:24])
        if width < 8:
            raise ValueError("this plan is too small")
        rows = zlib.compress((b"\\0" + b"\\x80" * width) * height)
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        room = {
            "polygon": [[0, 0], [4, 0], [4, 4]], "bounding_box": {"x": 0, "y": 0, "width": 4, "height": 4},
            "area_pixels": 8, "area_m2": None, "centroid": [2, 2], "confidence": 0.5,
        }
        overlay = b"\\x89PNG\\r\\n\\x1a\\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
        return {"image": {"width": width, "height": height}, "rooms": [room], "overlay": overlay}
"""
MANIFEST = """\
[package]
handler = "handler:FloorPlan"
[tasks.find_rooms.input.image]
type = "image"
form = "path"
required = true
[tasks.find_rooms.output.parts.overlay]
media_type = "image/png"
[[tasks.find_rooms.samples]]
files = { image = "samples/photographed-flat.png" }
"""
SCRIPT = Path(__file__).resolve().parents[2] / "apps" / "floorplan" / "demo.py"
COMMAND = [sys.executable, "-m", "seatrial", "demo"]


@pytest.fixture
def checkout(tmp_path: Path, png: Callable[[int, int], bytes]) -> Path:
    package = tmp_path / "checkout" / "apps" / "floorplan"
    (package / "samples").mkdir(parents=True)
    (package / "handler.py").write_text(HANDLER)
    (package / "seatrial.toml").write_text(MANIFEST)
    (package / "samples" / "photographed-flat.png").write_bytes(png(32, 24))
    shutil.copy(SCRIPT, package)
    return tmp_path / "checkout"


def run(checkout: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *options], cwd=checkout, capture_output=True, text=True, timeout=110)


def processes_of(folder: str) -> list[str]:
    """Processes whose command line or environment names the folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            except OSError:
                continue  # it ended, or is not ours
            if folder.encode() in said:
                found.append(process.name)
    return found


def data_folder(said: str) -> str:
    return next(word for word in said.split() if "seatrial-demo-" in word)


def test_the_demo_goes_from_a_plan_to_an_annotated_picture(checkout: Path) -> None:
    done = run(checkout, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["image"], len(answer["rooms"])) == ({"width": 32, "height": 24}, 1)
    assert Path(answer["annotated"]) == checkout / "floorplan-rooms.png"
    assert (checkout / "floorplan-rooms.png").read_bytes().startswith(b"\x89PNG")
    for stage in ("inspect", "environment", "weights", "load", "prove"):
        assert f"{stage:<12} passed" in done.stderr
    folder = data_folder(done.stderr)
    assert not Path(folder).exists()
    assert processes_of(folder) == []


def test_a_job_that_fails_shows_its_failure_document(
    checkout: Path, tmp_path: Path, png: Callable[[int, int], bytes]
) -> None:
    plan = tmp_path / "small.png"
    plan.write_bytes(png(4, 4))
    failed = run(checkout, "--input", str(plan), "--data", str(tmp_path / "data"))
    assert failed.returncode == 1
    assert '"status": "error"' in failed.stderr
    assert "this plan is too small" in failed.stderr
    assert (tmp_path / "data" / "credentials.json").is_file()
    assert processes_of(str(tmp_path / "data")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "moment",
    [
        "starting a server",
        pytest.param("the server is ready", marks=pytest.mark.slow),  # between the two others, and as they are
        "load         running",
    ],
)
def test_ctrl_c_leaves_no_process_behind(checkout: Path, moment: str, number: signal.Signals) -> None:
    demo = subprocess.Popen(
        COMMAND, cwd=checkout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    said = read_until(demo, moment)
    demo.send_signal(number)
    _, rest = demo.communicate(timeout=60)
    assert demo.returncode == 130, rest
    folder = data_folder(said)
    assert processes_of(folder) == []
    assert not Path(folder).exists()


def read_until(demo: subprocess.Popen[Any], moment: str) -> str:
    assert demo.stderr is not None
    said = b""
    while moment.encode() not in said:
        ready, _, _ = select.select([demo.stderr], [], [], 60)
        piece = os.read(demo.stderr.fileno(), 4096) if ready else b""
        assert piece, said.decode()
        said += piece
    return said.decode()


def test_outside_of_a_checkout_the_demo_says_where_to_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seatrial.cli import demo

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "site-packages" / "seatrial" / "cli" / "demo.py"))
    from typer.testing import CliRunner

    from seatrial.cli.main import app

    refused = CliRunner().invoke(app, ["demo"])
    assert refused.exit_code == 2
    assert "checkout" in refused.stderr


def test_an_app_that_is_not_there_is_told_with_those_that_are(checkout: Path) -> None:
    refused = run(checkout, "gen4d")
    assert refused.returncode == 2
    assert "apps/gen4d has no demo.py" in refused.stderr
    assert "one of floorplan" in refused.stderr
