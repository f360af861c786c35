"""The fourth field report: pictures that come incomplete when many are made at once. Here they come whole."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.apps.conftest import APPS, python_of
from tests.conftest import RunningServer, until

APP = APPS / "studio"
TESTS = "tests/e2e/async_inference"
ADAPTERS = "studio-adapters"
SECRET = "test-secret"
COUNTERS = ("Total jobs", "Completed", "Valid images", "Invalid/incomplete images", "No images")

pytestmark = pytest.mark.timeout(1800)
SLOW = pytest.mark.slow  # a minute or more each: pictures of 1024 x 1024, made and looked at on two cores


class Studio:
    """The endpoint `studio` of a server, in service, with the protocol at `url`."""

    def __init__(self, server: RunningServer, url: str) -> None:
        self.server = server
        self.url = url
        key = {"Authorization": f"Bearer {server.variables['SEATRIAL_API_KEY']}"}
        self.api = httpx.Client(base_url=server.url, headers=key, timeout=75, trust_env=False)
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Our command line, with time for trials over torch."""
        command = [sys.executable, "-m", "seatrial", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=self.server.environment, timeout=900)

    def deploy(self, package: Path, *options: str) -> subprocess.CompletedProcess[str]:
        return self.cli("deploy", str(package), "--name", "studio", *options)

    def job(self, task: str, body: Any, **options: Any) -> str:
        answer = self.api.post("/v1/endpoints/studio/jobs", params={"task": task, **options}, json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def told(self, job_id: str) -> dict[str, Any]:
        return dict(self.api.get(f"/v1/jobs/{job_id}").json())

    def ended(self, job_id: str) -> dict[str, Any]:
        return dict(until(lambda: one if (one := self.told(job_id))["ended_at"] else None, 300))

    def close(self) -> None:
        self.api.close()
        self.http.close()


def started(folder: Path) -> Studio:
    """A server whose endpoint `studio` is still to come."""
    server = RunningServer(folder / "data", ["--studio", "studio:0", "--python", python_of("studio")]).start()
    assert server.process is not None
    assert server.process.stdout is not None
    url = server.process.stdout.readline().split()[-1]
    server.client("s3").create_bucket(Bucket=ADAPTERS)
    return Studio(server, url)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    made = started(tmp_path_factory.mktemp("studio"))
    checkpoints = f"STUDIO_CHECKPOINTS=s3://{ADAPTERS}/checkpoints"
    deployed = made.deploy(APP, "--workers", "2", "--env", checkpoints)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    yield made
    made.close()
    made.server.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def own_tests(url: str, *which: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The app's tests, as the report starts them, in a process of their own."""
    told = {
        "ASYNC_MINER_URL": url,
        "ASYNC_CALLBACK_BASE_URL": f"http://127.0.0.1:{free_port()}",
        "ASYNC_CALLBACK_SECRET": SECRET,
        **variables,
    }
    command = [sys.executable, "-m", "pytest", *which, "-s", "-v", "-p", "no:cacheprovider", "--timeout=1200"]
    return subprocess.run(command, cwd=APP, capture_output=True, text=True, env=os.environ | told, timeout=1500)


def counters(done: subprocess.CompletedProcess[str]) -> list[int]:
    """The five numbers of the summary."""
    found = [re.search(rf"^ *{re.escape(name)}: (\d+)", done.stdout, re.MULTILINE) for name in COUNTERS]
    assert all(found), done.stdout + done.stderr
    return [int(one[1]) for one in found if one]


@pytest.fixture(scope="module")
def loras(studio: Studio) -> str:
    """Five adapters of one subject, each of another training, as `STRESS_TEST_LORAS` names them."""
    pictures = {"pictures": {"bucket": ADAPTERS, "key": "pictures.zip"}}
    studio.server.client("s3").upload_file(str(APP / "samples" / "pictures.zip"), ADAPTERS, "pictures.zip")
    jobs = [
        studio.job("train", {"subject": "lighthouse", "steps": 30, "seed": seed, **pictures}) for seed in range(1, 6)
    ]
    answers = [
        studio.api.get(f"/v1/jobs/{job}/result", params={"wait": 60}).json() for job in map(ended_in(studio), jobs)
    ]
    return ",".join(answer["adapter"]["uri"] for answer in answers)


def ended_in(studio: Studio) -> Callable[[str], str]:
    def ended(job_id: str) -> str:
        job = studio.ended(job_id)
        assert job["status"] == "succeeded", job
        return job_id

    return ended


def test_the_protocol_works(studio: Studio) -> None:
    done = own_tests(studio.url, f"{TESTS}/test_async_inference.py")
    assert done.returncode == 0, done.stdout + done.stderr


@SLOW
@pytest.mark.parametrize("count", [10, 20, 50])
def test_many_at_once_come_whole(studio: Studio, loras: str, count: int) -> None:
    which = f"{TESTS}/test_race_conditions.py::test_rapid_concurrent_inference"
    done = own_tests(studio.url, which, STRESS_TEST_CONCURRENT=str(count), STRESS_TEST_LORAS=loras)
    assert counters(done) == [count, count, count, 0, 0], done.stdout
    assert f"{count} of {count} callbacks matched" in done.stdout
    assert done.returncode == 0, done.stdout


@SLOW
def test_five_in_a_row_with_different_adapters(studio: Studio, loras: str) -> None:
    which = f"{TESTS}/test_race_conditions.py::test_rapid_sequential_different_loras"
    done = own_tests(studio.url, which, STRESS_TEST_SEQUENTIAL="5", STRESS_TEST_LORAS=loras)
    assert (done.returncode, counters(done)) == (0, [5, 5, 5, 0, 0]), done.stdout


@SLOW
def test_a_training_does_not_disturb_pictures(studio: Studio, loras: str) -> None:
    done = own_tests(
        studio.url, f"{TESTS}/test_race_conditions.py::test_training_interference", STRESS_TEST_LORAS=loras
    )
    assert (done.returncode, counters(done)) == (0, [10, 10, 10, 0, 0]), done.stdout
    assert "Total jobs: 10, and 1 exclusive" in done.stdout


@SLOW
def test_a_cancelled_training_goes_on_where_it_was(studio: Studio, tmp_path: Path) -> None:
    s3 = studio.server.client("s3")
    s3.upload_file(str(APP / "samples" / "pictures.zip"), ADAPTERS, "pictures.zip")
    body = {"subject": "lighthouse", "steps": 120, "seed": 99, "pictures": {"bucket": ADAPTERS, "key": "pictures.zip"}}
    first = studio.job("train", body)

    def kept() -> list[dict[str, Any]]:
        return list(s3.list_objects_v2(Bucket=ADAPTERS, Prefix="checkpoints/").get("Contents", []))

    until(kept, 300)
    progress = until(lambda: studio.told(first)["progress"])
    assert (progress["steps"], 0 < progress["step"] <= 120, "loss" in progress) == (120, True, True)
    studio.server.cli("jobs", "cancel", first)
    assert studio.ended(first)["status"] == "cancelled"
    second = studio.server.cli("jobs", "retry", first).stdout.split()[-1]
    assert studio.ended(second)["status"] == "succeeded"
    answer = studio.api.get(f"/v1/jobs/{second}/result").json()
    assert 0 < answer["resumed_from"] < 120
    assert kept() == []

    source = answer["adapter"]["uri"].removeprefix("s3://")
    s3.copy_object(Bucket=ADAPTERS, Key="lighthouse.safetensors", CopySource=source)
    order = {"prompt": "a lighthouse in a meadow", "seed": 1, "width": 256, "height": 256, "num_inference_steps": 4}
    job = studio.job("inference", {**order, "lora_path": "lighthouse.safetensors"}, affinity="lighthouse")
    assert studio.ended(job)["status"] == "succeeded"
    picture = studio.api.get(f"/v1/jobs/{job}/result").json()
    assert (picture["adapter"], picture["backend"]) == (answer["adapter"]["sha256"], "small")


def test_what_is_wrong_is_told_by_its_field(studio: Studio) -> None:
    for fields, error_type, field in (
        ({"prompt": "a lake", "lora_path": "nobody.safetensors"}, "input_not_found", "lora_path"),
        (
            {"prompt": "a lake", "lora_path": "data:application/x-safetensors;base64,bm90aGluZw=="},
            "lora_unusable",
            "lora_path",
        ),
    ):
        failed = studio.ended(studio.job("inference", {"width": 64, "height": 64, **fields}))
        error = failed["error"]
        assert (error["error_type"], error["details"]["field"]) == (error_type, field), error
    job = studio.job("train", {"subject": "lighthouse", "steps": 1, "pictures": "bm90aGluZyB0aGF0IGlzIGEgemlw"})
    error = studio.ended(job)["error"]
    assert (error["error_type"], error["details"]["field"]) == ("pictures_unreadable", "pictures")
    refused = studio.http.post("/inference", json={"prompt": "a lake", "width": 4096})
    assert (refused.status_code, refused.json()["field"]) == (422, "width")


@SLOW
def test_the_receiver_shows_what_came(studio: Studio, tmp_path: Path) -> None:
    port = free_port()
    variables = {"ASYNC_CALLBACK_BASE_URL": f"http://127.0.0.1:{port}", "ASYNC_CALLBACK_SECRET": SECRET}
    command = [sys.executable, f"{TESTS}/callback_server.py", str(tmp_path / "in")]
    with subprocess.Popen(command, cwd=APP, env=os.environ | variables, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            assert f"http://127.0.0.1:{port}/" in running.stdout.readline()
            later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            callback = {"callback_url": f"http://127.0.0.1:{port}/done", "callback_secret": SECRET, "expiry": later}
            ordered = studio.http.post(
                "/inference", json={"prompt": "a lake", "seed": 5, "job_id": "shown", **callback}
            )
            assert ordered.status_code == 200, ordered.text
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as page:
                (got,) = until(lambda: looked(page), 120)
                assert "<html" in page.get("/").text
            words = {"job_id": "shown", "status": "completed", "has_image": True}
            assert got == got | words
            assert (got["signature"]["trust"], got["parts"][0]["valid"]) == ("valid", True)
        finally:
            running.terminate()


def looked(page: httpx.Client) -> list[dict[str, Any]]:
    """What came, once its picture was looked at."""
    came = list(page.get("/callbacks").json()["callbacks"])
    return came if came and came[0]["parts"] and came[0]["parts"][0]["valid"] is not None else []


@SLOW
def test_its_own_contract_holds_on_both_wires(studio: Studio) -> None:
    contract = ("--contract", str(APP / "seatrial.toml"))
    for target, options in (("seatrial:studio", ()), (f"studio+{studio.url}", contract)):
        verified = studio.cli("verify", target, *options, "--yes")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    quick = ("--rounds", "1", "--concurrent", "4", "--scenario", "concurrent", "--scenario", "interference", "--json")
    stressed = studio.cli("stress", "seatrial:studio", "--vary", "seed=1..3", *quick)
    told = json.loads(stressed.stdout)
    assert (stressed.returncode, told["bad"], told["counts"]["valid"]) == (0, [], 8), stressed.stderr


@SLOW
def test_the_racy_variant_is_found_out(tmp_path: Path) -> None:
    subprocess.run([sys.executable, APP / "racy" / "build.py", tmp_path / "racy"], check=True)
    racy = started(tmp_path)
    try:
        deployed = racy.deploy(tmp_path / "racy", "--workers", "2")  # without the drill, which would refuse it
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        which = f"{TESTS}/test_race_conditions.py::test_rapid_concurrent_inference"
        done = own_tests(racy.url, which, STRESS_TEST_CONCURRENT="10", STRESS_TEST_SEQUENTIAL="3")
        total, completed, valid, invalid, none = counters(done)
        assert (done.returncode, total) == (1, 10), done.stdout
        assert (invalid > 0, valid + invalid + none, completed + none) == (True, 10, 10), done.stdout
        assert "INVALID IMAGES DETECTED:" in done.stdout
    finally:
        racy.close()
        racy.server.terminate()


@SLOW
def test_the_racy_variant_does_not_pass_a_trial(tmp_path: Path) -> None:
    subprocess.run([sys.executable, APP / "racy" / "build.py", tmp_path / "racy"], check=True)
    command = [sys.executable, "-m", "seatrial", "trial", "run", str(tmp_path / "racy"), "--drill-seconds", "20"]
    tried = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"SEATRIAL_PYTHON": python_of("studio")}, timeout=900
    )
    assert tried.returncode == 1
    assert "drill: Sample" in tried.stderr
    assert "'image'" in tried.stderr


@SLOW
def test_make_up_starts_it_and_down_ends_it(tmp_path: Path) -> None:
    port = free_port()
    options = [f"DATA={tmp_path / 'data'}", f"PORT={port}", "WORKERS=1"]
    make = ["make", "--no-print-directory", "-C", str(APP)]
    up = subprocess.run([*make, "up", *options], capture_output=True, text=True, timeout=900)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        assert httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).json()["status"] == "healthy"
    finally:
        down = subprocess.run([*make, "down", *options], capture_output=True, text=True, timeout=120)
    assert "ended" in down.stdout


@SLOW
def test_a_model_that_is_not_there_fails_the_load(studio: Studio) -> None:
    refused = studio.deploy(APP, "--update", "--env", "STUDIO_BACKEND=sdxl")
    assert refused.returncode == 1
    assert "sdxl" in refused.stderr
    assert studio.http.get("/health").json()["status"] == "healthy", "the version before goes on"
