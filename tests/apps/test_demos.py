"""What `make demo APP=...` does for a newcomer: each app's main job, and what it leaves beside them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.apps.conftest import APPS, python_of

LEFT = {
    "gen3d": ("gen3d-pear-mesh.glb", "gen3d-pear-points.ply"),
    "fashion": ("fashion-shown.png",),
    "studio": ("studio-1-image.png", "studio-2-image.png"),
    "headshot": ("headshot-ada.png",),
}
BEGINS = {".png": b"\x89PNG\r\n\x1a\n", ".glb": b"glTF", ".ply": b"ply"}

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]  # a server and a whole trial each; floorplan's is a unit test


@pytest.mark.parametrize("app", LEFT)
def test_the_demo_of_an_app_shows_what_it_made(app: str, tmp_path: Path) -> None:
    python_of(app)
    command = [sys.executable, "-m", "seatrial", "demo", app, "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=APPS.parent, timeout=580)
    assert done.returncode == 0, done.stderr
    for name in LEFT[app]:
        path = tmp_path / name
        assert path.read_bytes().startswith(BEGINS[path.suffix])
        assert str(path) in done.stdout
