"""The fifth field report: a RunPod worker that died of bad requests. Here each is answered, and the worker lives on."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import runpod
from PIL import Image
from tests.apps.conftest import APPS, python_of
from tests.conftest import RunningServer, until

from seatrial.http.dialects.runpod.worker import environment

APP = APPS / "headshot"
BUCKET = "headshots"
KEY = "sb_secret_of_this_story"
GOOD = {"prompt": "portrait of a person with short red hair and glasses, blue background", "user_id": "ada", "seed": 7}
NO_GPU = "CUDA is not available. This worker requires a GPU."
FEW_STEPS = {"HEADSHOT_STEPS": "2"}  # the stories are of requests and workers; test_generator.py is of pictures
BEFORE = """
    import os, signal, runpod


    def handler(job):  # as it was: whatever it had not thought of ended the process
        given = job["input"]
        if "prompt" not in given:
            os._exit(1)
        if "user_id" not in given:
            os.kill(os.getpid(), signal.SIGTERM)
        return {"signed_url": "https://storage.example/" + given["user_id"]}


    runpod.serverless.start({"handler": handler})
"""

pytestmark = [pytest.mark.timeout(900)]  # a machine of two cores may have much else to do


def app_module(name: str) -> ModuleType:
    """A module of the app's own tests."""
    spec = importlib.util.spec_from_file_location(name, APP / "tests" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def with_python() -> tuple[str, str]:
    """The option of `seatrial deploy`."""
    return "--python", python_of("headshot")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A storage that speaks Supabase's API, over HTTP."""
    server = app_module("supabase_server").SupabaseServer(tmp_path_factory.mktemp("storage"), KEY, (BUCKET,)).start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def proved(shared_server: RunningServer, storage: Any) -> RunningServer:
    """A server whose endpoint `headshot` was proved with Supabase's storage, and has no workers of its own."""
    settings = {"HEADSHOT_STORAGE": "supabase", **supabase(storage), **FEW_STEPS}
    env = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
    shared_server.cli("deploy", str(APP), "--name", "headshot", *with_python(), "--workers", "0", *env)
    return shared_server


class Worker:
    """`python handler.py` with the unmodified SDK, as it runs on a RunPod pod; its jobs come from the server."""

    def __init__(self, server: RunningServer, folder: Path, **settings: str) -> None:
        self.log = folder / "worker.log"
        variables = server.environment | {"HOME": str(folder)} | FEW_STEPS | settings
        start = f"cd {shlex.quote(str(APP))}; exec {python_of('headshot')}"
        script = environment("headshot").replace("exec python", start)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", script], env=variables, stdout=log, stderr=log, start_new_session=True
            )

    def terminate(self) -> int:
        os.kill(self.process.pid, signal.SIGTERM)
        return self.process.wait(60)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def make_worker(proved: RunningServer, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def make(**settings: str) -> Worker:
        made.append(Worker(proved, tmp_path, **settings))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


@pytest.fixture
def client(proved: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """RunPod's own client."""
    return client_of(proved, "headshot", monkeypatch)


def client_of(server: RunningServer, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(runpod, "endpoint_url_base", f"{server.url}/v2")
    monkeypatch.setattr(runpod, "api_key", server.variables["SEATRIAL_API_KEY"])
    return runpod.Endpoint(endpoint)


def told(server: RunningServer, endpoint: str, job_id: str) -> dict[str, Any]:
    """The whole status document: the SDK's client keeps the error to itself."""
    key = {"Authorization": server.variables["SEATRIAL_API_KEY"]}
    url = f"{server.url}/v2/{endpoint}/status/{job_id}"

    def ended() -> dict[str, Any] | None:
        document = httpx.get(url, headers=key, trust_env=False).json()
        return None if document["status"] in ("IN_QUEUE", "IN_PROGRESS") else dict(document)

    return dict(until(ended, 120))


def supabase(storage: Any) -> dict[str, str]:
    return {"SUPABASE_URL": storage.url, "SUPABASE_KEY": KEY}


# The SDK takes one job a second.
@pytest.mark.parametrize("more", [3, pytest.param(21, marks=pytest.mark.slow)])
def test_each_problem_request_is_answered_and_the_worker_stays_the_same(
    make_worker: Callable[..., Worker],
    proved: RunningServer,
    client: Any,
    storage: Any,
    step: Callable[[str], Any],
    more: int,
) -> None:
    problems = app_module("problems")
    asked = problems.REPORTED + problems.MORE[:more]
    worker = make_worker(**supabase(storage))
    with step(f"{len(asked)} problem requests"):
        jobs = [client.run({"input": given}) for given, _ in asked]
        documents = [told(proved, "headshot", job.job_id) for job in jobs]
    for (given, (message, error_type, field)), document in zip(asked, documents, strict=True):
        assert (document["status"], document["error"]) == ("FAILED", message), given
        output = document["output"]
        assert (output["error_type"], output["field"], output["backend"]) == (error_type, field, "small")
        assert output["pid"] == worker.process.pid
    assert worker.process.poll() is None

    with step("and a good one, by the same process"):
        answer = client.run_sync({"input": GOOD})
    assert (answer["status"], answer["backend"], answer["pid"]) == ("success", "small", worker.process.pid)
    content = httpx.get(answer["signed_url"], trust_env=False).content
    assert storage.objects(BUCKET)[answer["path"]] == content
    assert answer["path"].startswith("ada/")
    assert hashlib.sha256(content).hexdigest() == answer["sha256"]
    assert Image.open(io.BytesIO(content)).size == tuple(answer["picture"]["size"])
    assert {path.partition("/")[0] for path in storage.objects(BUCKET)} <= {"ada", "sea-trial"}

    assert worker.terminate() == 0
    log = worker.log.read_text()
    assert log.count("memory after ") == len(asked) + 1, log
    assert "memory after prompt_too_long on cpu: " in log
    assert "memory after success on cpu: " in log
    assert KEY not in log


def test_a_worker_that_cannot_begin_lives_and_tells_every_job_why(
    make_worker: Callable[..., Worker], proved: RunningServer, client: Any, storage: Any
) -> None:
    """The report's sixth request: any, where CUDA is not available."""
    worker = make_worker(HEADSHOT_DEVICE="cuda", **supabase(storage))
    for given in (GOOD, {}):
        document = told(proved, "headshot", client.run({"input": given}).job_id)
        assert (document["status"], document["error"]) == ("FAILED", NO_GPU)
        assert document["output"]["error_type"] == "initialization_error"
        assert document["output"]["pid"] == worker.process.pid
    assert worker.terminate() == 0


@pytest.mark.slow  # three deployments
def test_where_it_cannot_begin_the_endpoint_is_failed_with_the_reason(server: RunningServer) -> None:
    for env, reason in (
        ("HEADSHOT_DEVICE=cuda", NO_GPU),
        ("HEADSHOT_STORAGE=supabase", "SUPABASE_URL environment variable is required"),
        ("HEADSHOT_MEMORY_BYTES_MIN=1000000000000000", "Insufficient memory: "),
    ):
        name = reason.partition(" ")[0].lower().replace("_", "-")
        refused = server.cli("deploy", str(APP), "--name", name, *with_python(), "--env", env, check=False)
        assert refused.returncode == 1
        described = server.client("sagemaker").describe_endpoint(EndpointName=name)
        assert described["EndpointStatus"] == "Failed"
        assert reason in described["FailureReason"]


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The worker of the report before it was mended."""
    folder = tmp_path / "before"
    folder.mkdir()
    lines = BEFORE.splitlines()
    (folder / "handler.py").write_text("\n".join(line.removeprefix("    ") for line in lines))
    (folder / "test_input.json").write_text('{"input": {"prompt": "a face", "user_id": "ada"}}')
    return folder


@pytest.mark.slow  # six workers die, three deployments
def test_from_the_worker_that_dies_to_the_one_that_answers(
    make_server: Callable[..., RunningServer],
    before: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: Callable[[str], Any],
) -> None:
    server = make_server("--python", sys.executable)
    client = client_of(server, "headshot", monkeypatch)
    with step("the worker as it was: nobody has said what a request is, so nobody sends it a wrong one"):
        server.cli("deploy", str(before), "--name", "headshot")
    with step("two of the report's requests, three workers each"):
        first, second = (client.run({"input": given}).job_id for given in ({"user_id": "test"}, {"prompt": "test"}))
        no_prompt, no_user_id = told(server, "headshot", first), told(server, "headshot", second)
    assert (no_prompt["status"], no_user_id["status"]) == ("FAILED", "FAILED")
    assert "exit code 1" in no_prompt["error"]
    assert "SIGTERM" in no_user_id["error"]

    contract = (APP / "seatrial.toml").read_text()
    (before / "seatrial.toml").write_text(contract)
    for name in ("samples/portrait.json", "schemas/headshot.json"):
        (before / name).parent.mkdir(exist_ok=True)
        (before / name).write_bytes((APP / name).read_bytes())
    loose = contract.replace('schema = "schemas/headshot.json"\n', "")
    (before / "seatrial.toml").write_text(loose)
    with step("with a contract its trial sends it wrong ones, and it does not come into service"):
        refused = server.cli("deploy", str(before), "--name", "headshot", "--update", check=False)
    assert refused.returncode == 1
    assert "no 'prompt' for task 'headshot' cost a worker its life" in refused.stderr

    server.client("s3").create_bucket(Bucket=BUCKET)
    with step("the app, in its place"):
        steps = [f"{name}={value}" for name, value in FEW_STEPS.items()]
        server.cli("deploy", str(APP), "--name", "headshot", "--update", *with_python(), "--env", *steps)
    for given, error_type in (({"user_id": "test"}, "missing_field"), ({"prompt": "test"}, "missing_field")):
        assert client.run_sync({"input": given})["error_type"] == error_type
    answer = client.run_sync({"input": GOOD})
    assert answer["storage"] == "s3"
    assert hashlib.sha256(httpx.get(answer["signed_url"], trust_env=False).content).hexdigest() == answer["sha256"]
