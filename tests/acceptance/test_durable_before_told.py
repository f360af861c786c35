"""I1 under a system-call trace: what a client is told was on the disk before; a build without a flush is found out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from torture import trace, v1
from torture.durability import Durability
from torture.server import Server
from torture.work import ENDPOINT, Errand

BLOB = 40_000  # bytes: more than a row holds, so it becomes a file
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def _strace() -> None:
    done = subprocess.run([REPOSITORY / "scripts/install-system-package", "strace"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose endpoint was deployed before anybody looks."""
    made = tmp_path_factory.mktemp("traced")
    server = Server(made)
    assert server.start()
    server.deploy(ENDPOINT)
    server.close()
    return made


def traced(folder: Path, *build: str) -> Durability:
    """A small and a large job, one after the other, on a server whose calls are written down."""
    target = folder / "trace"
    command = [sys.executable, "-m", *(build or ["seatrial"])]
    server = Server(folder, command=trace.command(target, command))
    assert server.start()
    for number, size in enumerate((64, BLOB)):
        errand = Errand(number, f"{build} {number}", size=size, part_size=size, padding=size)
        v1.send_until_accepted(server.http, errand)
        for job_id in errand.ids:
            assert v1.ended(server.http, job_id)["status"] == "succeeded"
    server.close()
    return Durability(trace.read(target))


def test_nothing_is_told_before_it_is_flushed(folder):
    seen = traced(folder)
    assert len(seen.accepted) == 2
    assert len(seen.told) >= 2
    assert len(seen.blobs) >= 3, "the large input, the large answer and its part are files"
    assert seen.violations() == []


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("log", "left before its commit was flushed"),
        pytest.param("files", "named before its bytes were flushed", marks=pytest.mark.slow),  # the same, twice more
        pytest.param("folders", "named before its folder's entry was flushed", marks=pytest.mark.slow),
    ],
)
def test_a_build_without_a_flush_is_found_out(folder, what, said):
    violations = traced(folder, "torture.unflushed", what).violations()
    assert any(said in one for one in violations), violations
