"""`seatrial stress` finds planted races from outside, says which job and why, and never accuses who is sound."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests import forks
from tests.acceptance.studio_server import Server, serve
from typer.testing import CliRunner

from seatrial.cli.main import app

PAINTER = """\
[tasks.inference.output]
media_type = "image/png"

[[tasks.inference.samples]]
name = "slope"
input = { prompt = "a slope", seed = 1 }

[tasks.train]
exclusive = true

[[tasks.train.samples]]
name = "short"
input = { steps = 2 }
"""


@pytest.fixture
def studio() -> Iterator[Callable[[str], str]]:
    """Starts a studio server with a fault planted in it; the target's words."""
    made: list[Server] = []

    def start(fault: str) -> str:
        made.append(serve(fault))
        return f"studio+http://127.0.0.1:{made[-1].server_address[1]}"

    yield start
    for one in made:
        one.shutdown()
        one.server_close()


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "studio.toml"
    path.write_text(PAINTER)
    return path


def stress(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return forks.run("stress", *arguments, env=environment)


QUICK = ("--vary", "seed=1..3", "--rounds", "1", "--patience", "10", "--callback-patience", "2", "--rate", "6")


def told_by(*arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON of the command, run in this process."""
    done = CliRunner().invoke(app, ["stress", *arguments, "--json"])
    assert done.exit_code in (0, 1), done.stderr
    return done.exit_code, json.loads(done.stdout)


def test_a_sound_studio_passes_every_scenario_with_its_callbacks(
    studio: Callable[[str], str], contract: Path, tmp_path: Path
) -> None:
    target, junit = studio(""), tmp_path / "report.xml"
    done = stress(target, "--contract", str(contract), *QUICK, "--soak-seconds", "2", "--junit", str(junit), "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["passed"], told["bad"]) == (0, True, []), done.stderr
    assert [one["scenario"] for one in told["scenarios"]] == ["concurrent", "sequential", "interference", "soak"]
    assert [one["counts"]["valid"] for one in told["scenarios"]] == [10, 10, 10, 12]
    assert told["scenarios"][2]["counts"]["exclusive"] == 1
    assert all(one["callbacks"] == {"expected": 10, "matched": 10, "told_again": 0} for one in told["scenarios"][:3])
    assert all(one["varying"] == [] for one in told["variants"])
    assert "concurrent: 10 of 10" in done.stderr
    suites = {suite.get("name"): suite for suite in ElementTree.parse(junit).getroot()}
    assert (len(suites), suites["soak"].get("tests"), suites["soak"].get("failures")) == (5, "5", "0")


def test_outputs_that_depend_on_chance_are_not_accused(studio: Callable[[str], str], contract: Path) -> None:
    code, told = told_by(studio("random"), "--contract", str(contract), *QUICK, "--scenario", "concurrent")
    assert (code, told["counts"]["valid"], told["bad"]) == (0, 10, [])
    assert [one["varying"] for one in told["variants"]] == [["result"]] * 3


# Each fault takes 5 to 20 s to be provoked and judged; one of each way of judging stays in `make test`.
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("fault", "scenario", "kinds", "words"),
    [
        ("shared_buffer", "concurrent", {"differs", "crossed"}, "other pixels in rows|gives alone"),
        pytest.param("shared_state", "concurrent", {"crossed"}, "gives alone", marks=SLOW),
        pytest.param("non_atomic", "concurrent", {"partial"}, "PNG is damaged", marks=SLOW),
        pytest.param("crossed_files", "concurrent", {"crossed", "empty", "partial", "differs"}, "", marks=SLOW),
        pytest.param("training_interrupts", "interference", {"partial"}, "Partial render detected", marks=SLOW),
        pytest.param("forgets_jobs", "concurrent", {"lost"}, "not known any more", marks=SLOW),
        pytest.param("silent", "concurrent", {"untold"}, "no callback came", marks=SLOW),
        ("tells_twice", "concurrent", {"duplicated"}, "2 callbacks told its end"),
        pytest.param(
            "crossed_callbacks", "concurrent", {"crossed"}, "its callback carries the picture of job_", marks=SLOW
        ),
    ],
)
def test_a_planted_race_is_found(
    studio: Callable[[str], str], contract: Path, fault: str, scenario: str, kinds: set[str], words: str
) -> None:
    rounds = ("--rounds", "3") if scenario == "interference" else ()
    code, told = told_by(studio(fault), "--contract", str(contract), *QUICK, *rounds, "--scenario", scenario)
    assert (code, told["passed"], told["invalid_alone"]) == (1, False, [])
    found = {problem["kind"] for job in told["bad"] for problem in job["problems"]}
    assert found & kinds, found
    if len(kinds) == 1:
        assert found == kinds
    assert any(re.search(words, problem["reason"]) for job in told["bad"] for problem in job["problems"])


@pytest.mark.slow  # about 7 s
def test_the_summary_names_each_bad_job_with_its_reason_and_keeps_its_output(
    studio: Callable[[str], str], contract: Path, tmp_path: Path
) -> None:
    keep = tmp_path / "bad"
    options = *QUICK, "--scenario", "concurrent", "--keep", str(keep)
    done = stress(studio("non_atomic"), "--contract", str(contract), *options)
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert done.returncode == 1
    counters = dict(
        line.split(": ", 1) for line in lines if line.startswith(("Total", "Completed", "Valid", "Inv", "No"))
    )
    assert list(counters) == ["Total jobs", "Completed", "Valid images", "Invalid/incomplete images", "No images"]
    invalid = int(counters["Invalid/incomplete images"])
    assert int(counters["Valid images"]) + invalid == int(counters["Total jobs"]) == 10
    listed = lines[lines.index("INVALID IMAGES DETECTED:") + 1 :][:invalid]
    assert all(line.startswith("- job_0") and "PNG is damaged" in line for line in listed)
    kept = sorted(keep.glob("job_*/0.png"))
    assert (len(kept), all(str(path) in done.stdout for path in kept)) == (invalid, True)


def package(shared: Path | None) -> dict[str, str]:
    """A handler that answers with a text of its own for each seed; `shared`: by way of a file that all workers use."""
    handler = f"""
        import hashlib, pathlib, time

        SHARED = {str(shared) if shared else None!r}

        class Writer:
            def write(self, seed: int):
                if SHARED:
                    pathlib.Path(SHARED).write_text(str(seed))
                time.sleep(0.03)
                seed = pathlib.Path(SHARED).read_text() if SHARED else seed
                return {{"text": hashlib.sha256(str(seed).encode()).hexdigest(), "elapsed_seconds": time.time()}}
    """
    contract = """
        [package]
        name = "writer"
        handler = "writer:Writer"

        [tasks.write.input.seed]
        type = "integer"
        required = true

        [[tasks.write.samples]]
        name = "first"
        input = "samples/first.json"
    """
    return {"writer.py": handler, "seatrial.toml": contract, "samples/first.json": '{"seed": 1}'}


@pytest.mark.slow  # two deployments of three workers
def test_workers_that_share_a_file_are_found_and_those_that_do_not_are_not(shared_server: Any, api: Any) -> None:
    shared = Path("/dev/shm") / f"seatrial-stress-{os.getpid()}"  # /tmp is each worker's own
    options = (*QUICK, "--scenario", "concurrent", "--rounds", "2", "--json")
    try:
        api.serve("sound", package(None), workers=2)
        api.serve("racy", package(shared), workers=2)
        sound = stress("seatrial:sound", *options, environment=shared_server.environment)
        racy = stress("seatrial:racy", *options, environment=shared_server.environment)
    finally:
        shared.unlink(missing_ok=True)
    told = json.loads(sound.stdout)
    assert (sound.returncode, told["counts"]["valid"], told["bad"]) == (0, 20, []), sound.stderr
    assert told["scenarios"][0]["callbacks"]["matched"] == 20
    told = json.loads(racy.stdout)
    assert (racy.returncode, told["counts"]["crossed"] > 0) == (1, True), racy.stderr
    assert {problem["kind"] for job in told["bad"] for problem in job["problems"]} <= {"crossed", "failed", "differs"}


@pytest.mark.slow  # about 7 s
def test_an_interrupted_run_cancels_what_is_under_way(shared_server: Any, api: Any) -> None:
    api.serve("held")
    held = "--vary", "code=__import__('time').sleep(1)"
    process = forks.start("stress", "seatrial:held", *held, "--scenario", "concurrent", env=shared_server.environment)
    assert process.stderr is not None
    while "concurrent" not in (line := process.stderr.readline()):
        assert line, "it ended early"
    give_up = time.monotonic() + 30
    while len(jobs_of(api, "held")) < 12 and time.monotonic() < give_up:  # two alone, ten at once
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 130, err
    assert "jobs under way were given up" in out
    states = [job["status"] for job in jobs_of(api, "held")]
    assert "cancelled" in states
    assert set(states) <= {"succeeded", "cancelled"}


def jobs_of(api: Any, name: str) -> list[dict[str, Any]]:
    return list(api.http.get("/v1/jobs", params={"endpoint": name, "limit": 100}).json()["jobs"])


def test_what_cannot_be_done_is_said_before_anything_is_sent(
    studio: Callable[[str], str], contract: Path, shared_server: Any
) -> None:
    target, known = studio(""), ("--contract", str(contract))
    cases = [
        (("nonsense",), 2, "does not name a target"),
        ((target,), 2, "a contract is needed"),
        ((target, *known, "--vary", "seed"), 2, "FIELD=VALUE"),
        ((target, *known, "--task", "sing"), 2, "valid: 'inference', 'train'"),
        ((target, *known, "--concurrent", "5000"), 2, "concurrent: from 2 to 256"),
        ((target, *known, "--junit", "nowhere/report.xml"), 2, "there is no folder nowhere"),
        ((target, *known, "--rate", "50", "--soak-seconds", "80000"), 2, "at most 20,000"),
        (("studio+http://127.0.0.1:9", *known), 3, "no answer"),
        (("seatrial:nobody",), 4, "There is no endpoint"),
    ]
    for arguments, code, words in cases:
        done = CliRunner().invoke(app, ["stress", *arguments], env=shared_server.variables)
        assert (done.exit_code, words in done.stderr) == (code, True), (arguments, done.stderr)
