"""A minute of `make torture`: random jobs at every door, kills, stops, jumps of the clock, a full disk, a sick S3."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SECONDS = 30


SLOW = pytest.mark.slow  # 40 s each: the pair with the most moving parts stays in `make test`


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("objects", "database", "seed"), [pytest.param("rows", "sqlite", 1, marks=SLOW), ("s3", "postgres", 2)]
)
def test_half_a_minute_of_torture_breaks_no_promise(objects, database, seed):
    place = ["--objects", objects, "--database", database]
    options = ["--seconds", str(SECONDS), "--seed", str(seed), *place, "--json"]
    done = subprocess.run([sys.executable, "-m", "torture", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["violations"] == []
    assert report["jobs"] > 20
    assert sum(report["faults"].values()) > 2
