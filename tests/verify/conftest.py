"""Live deployments to verify: ours, moto's control planes, RunPod's own server, Cog's own server, a studio server."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import PACKAGES, RunningServer, until

HERE = Path(__file__).parent
START_SECONDS = 60


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Foreign:
    """A server of somebody else's, in a process of its own."""

    def __init__(self, command: list[str], url: str, ready: str, log: Path, **environment: str) -> None:
        self.url = url
        with log.open("w") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent, env={**os.environ, **environment}
            )
        give_up = time.monotonic() + START_SECONDS
        while not self._answers(url + ready):
            assert time.monotonic() < give_up, log.read_text()[-4000:]
            assert self._process.poll() is None, log.read_text()[-4000:]
            select.select([], [], [], 0.1)

    def _answers(self, url: str) -> bool:
        try:
            return httpx.get(url, trust_env=False).status_code < 500
        except httpx.TransportError:
            return False

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Foreign]]:
    started: list[Foreign] = []

    def start(*options: str) -> Foreign:
        port = free_port()
        command = [sys.executable, str(HERE / "studio_server.py"), str(port), *options]
        log = tmp_path_factory.mktemp("studio") / "log"
        started.append(Foreign(command, f"http://127.0.0.1:{port}", "/health", log))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture(scope="module")
def runpod_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """`python handler.py --rp_serve_api` of the unmodified SDK."""
    port = free_port()
    command = [sys.executable, str(HERE / "runpod_handler.py"), "--rp_serve_api", "--rp_api_port", str(port)]
    log = tmp_path_factory.mktemp("runpod") / "log"
    skip = {"RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true", "RUNPOD_SKIP_GPU_CHECK": "true", "HOME": str(log.parent)}
    server = Foreign(command, f"http://127.0.0.1:{port}", "/", log, **skip)
    yield server
    server.end()


@pytest.fixture(scope="module")
def cog_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """Cog's own HTTP server, unmodified."""
    port = free_port()
    folder = tmp_path_factory.mktemp("cog")
    (folder / "predict.py").write_bytes((HERE / "cog_model" / "predict.py").read_bytes())
    command = [sys.executable, "-m", "cog.server.http", "--host", "127.0.0.1"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    server = Foreign(
        command, f"http://127.0.0.1:{port}", "/health-check", folder / "log",
        PATH=path, PORT=str(port), COG_PREDICT_TYPE_STUB="predict.py:Predictor",
    )  # fmt: skip
    yield server
    server.end()


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The URL of moto's control planes."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def archive_of(package: str, folder: Path) -> Path:
    target = folder / "model.tar.gz"
    with tarfile.open(target, "w:gz") as tar:
        for member in sorted((PACKAGES / package).iterdir()):
            if member.name != "__pycache__":
                tar.add(member, arcname=member.name)
    return target


def create_endpoint(sagemaker: Any, name: str) -> None:
    """As the reporters created theirs."""
    role = "arn:aws:iam::000000000000:role/SageMakerRole"
    container = {"Image": "gen3d-sagemaker:v1.0", "ModelDataUrl": "s3://data/model.tar.gz"}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "All", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    output = {"S3OutputPath": "s3://data/async-output", "S3FailurePath": "s3://data/async-failures"}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant], AsyncInferenceConfig={"OutputConfig": output}
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of ours with the reporters' endpoint, deployed through SageMaker's control plane."""
    server = RunningServer(tmp_path_factory.mktemp("server") / "data").start()
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    s3.create_bucket(Bucket="data")
    s3.upload_file(str(archive_of("tasks_sagemaker", tmp_path_factory.mktemp("package"))), "data", "model.tar.gz")
    create_endpoint(sagemaker, "gen3d")
    until(lambda: sagemaker.describe_endpoint(EndpointName="gen3d")["EndpointStatus"] == "InService")
    yield server
    server.terminate()


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def seatrial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Our command line in a folder of its own, with these variables, within this process: it starts often."""

    def run(*arguments: str, env: dict[str, str] | None = None) -> Done:
        from typer.testing import CliRunner

        from seatrial.cli.main import app

        monkeypatch.chdir(tmp_path)
        done = CliRunner().invoke(app, arguments, env=env or {}, catch_exceptions=False)
        return Done(done.exit_code, done.stdout, done.stderr)

    return run
