"""A few packages of the corpus through check and real trial; `make prove-corpus` tries them all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FAULTS = {  # one for each stage, and the stage that has to tell it
    "pickle-cut-off": "check",
    "requirement-that-does-not-exist": "environment",
    "load-over-its-budget": "load",
    "mock-answer": "prove",
    "malformed-input-crashes-the-worker": "refuse",
    "state-left-behind": "drill",
}
HEALTHY = ("path-by-pathlib", "varies-noise")


def test_each_fault_is_told_at_its_stage_and_no_healthy_package_is_accused() -> None:
    names = [*FAULTS, *HEALTHY]
    command = [sys.executable, "-m", "benchmarks.corpus", "--json", "--only", *names]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=110)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    packages = {one["name"]: one for one in json.loads(ran.stdout)["packages"]}
    assert set(packages) == set(names)
    for name, stage in FAULTS.items():
        assert (packages[name]["word"], packages[name]["earliest_stage"]) == ("caught", stage)
        trial = packages[name]["trial"]
        assert (trial or {}).get("failed") == (None if stage == "check" else stage)
    for name in HEALTHY:
        assert packages[name]["word"] == "quiet"
        assert packages[name]["trial"]["failed"] is None
