"""A minute of `make torture`: random jobs at every door, kills, stops, jumps of the clock, a full disk, a sick S3."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.slow  # 45 s each
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("objects", "database", "seconds"), [("rows", "sqlite", 30), ("s3", "postgres", 30)])
def test_torture_breaks_no_promise(objects, database, seconds):
    place = ["--objects", objects, "--database", database]
    options = ["--seconds", str(seconds), "--seed", "2", *place, "--json"]
    done = subprocess.run([sys.executable, "-m", "torture", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["violations"] == []
    assert report["jobs"] > 20
    assert sum(report["faults"].values()) > 2
