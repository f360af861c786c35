"""A minute of `make torture`: random jobs at every door, kills, stops, jumps of the clock and a full disk."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SECONDS = 60
SEED = 1


@pytest.mark.timeout(400)
def test_a_minute_of_torture_breaks_no_promise():
    command = [sys.executable, "-m", "torture", "--seconds", str(SECONDS), "--seed", str(SEED), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["violations"] == []
    assert report["jobs"] > 50
    assert report["kills"] > 0
    assert len(report["faults"]) > 2
