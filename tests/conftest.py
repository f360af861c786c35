"""What every test can rely on: its own settings only, and a real server in a process of its own."""

from __future__ import annotations

import functools
import gc
import json
import os
import select
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from tests import forks

from seatrial.testing.postgres import PostgresServer
from seatrial.testing.s3_server import S3Server

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = REPOSITORY / "tests" / "packages"
START_SECONDS = 60
STOP_SECONDS = 60


@pytest.fixture(scope="session", autouse=True)
def _own_settings_only() -> Iterator[None]:
    """A developer's own AWS or Seatrial settings never reach a test or a process that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("AWS_", "SEATRIAL_")):
                patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("SEATRIAL_DRILL_SECONDS", "0")  # what a drill finds has tests of its own
        yield
    forks.end()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # what was imported is no garbage: a collection takes some 20 ms instead of 200


@pytest.fixture(scope="module", autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """A file's tests answer for what they left unclosed, and not those that run when it happens to be collected."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, one for all tests: each makes buckets of its own."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture(scope="session")
def aws_command() -> Path:
    """The real, unmodified `aws` command line of this environment."""
    return Path(sys.executable).with_name("aws")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL, without fsync: no test of this one cuts the power."""
    with PostgresServer(durable=False) as server:
        yield server


@functools.cache
def _models() -> boto3.session.Session:
    """One session for all clients: it reads AWS's models of a service once (0.1 to 0.3 s), and not for each."""
    return boto3.session.Session()


@dataclass
class RunningServer:
    """`seatrial serve` on a data folder; may be killed and started again on it."""

    data: Path
    options: list[str] = field(default_factory=list)
    process: forks.Forked | None = None
    variables: dict[str, str] = field(default_factory=dict)

    def start(self) -> RunningServer:
        log = (self.data.parent / "server.log").open("a")
        command = ["serve", "--data", str(self.data), "--port", "0", *self.options]
        self.process = forks.start(*command, stderr=log.fileno())
        log.close()
        line = self._ready_line(self.process)
        assert "http://" in line, line
        self.variables = json.loads(forks.run("env", "--data", self.data, "--json").stdout)
        return self

    def _ready_line(self, process: forks.Forked) -> str:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        line = process.stdout.readline() if ready else ""
        if not line:
            process.kill()
            self._wait()
            raise AssertionError("the server did not start:\n" + (self.data.parent / "server.log").read_text()[-4000:])
        return line

    @property
    def url(self) -> str:
        return self.variables["SEATRIAL_URL"]

    @property
    def environment(self) -> dict[str, str]:
        """What a client's process gets: a plain environment and the variables of `seatrial env`."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.data.parent), "AWS_PAGER": "", **self.variables}

    def client(self, service: str, **config: Any) -> Any:
        """An unmodified boto3 client with nothing but those variables."""
        return _models().client(
            service,
            endpoint_url=self.variables["AWS_ENDPOINT_URL"],
            region_name=self.variables["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            config=Config(**config),
        )

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Our own command line, as a user would run it."""
        done = forks.run(*arguments, env=self.environment)
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def terminate(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        """kill -9 of the server itself."""
        assert self.process is not None
        self.process.kill()
        self._wait()

    def _wait(self) -> int:
        assert self.process is not None
        code = self.process.wait(timeout=STOP_SECONDS)
        self.process.close()
        self.process = None
        return code


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    servers: list[RunningServer] = []

    def make(*options: str) -> RunningServer:
        folder = tmp_path / f"server{len(servers)}"
        folder.mkdir()
        server = RunningServer(folder / "data", list(options))
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        if server.process is not None:
            server.terminate()


@pytest.fixture
def start_server() -> Iterator[Callable[..., RunningServer]]:
    """A server on a data folder that the test chose."""
    servers: list[RunningServer] = []

    def start(data: Path, *options: str) -> RunningServer:
        servers.append(RunningServer(data, list(options)))
        return servers[-1].start()

    yield start
    for server in servers:
        if server.process is not None:
            server.terminate()


@pytest.fixture
def server(make_server: Callable[..., RunningServer]) -> RunningServer:
    return make_server()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests of a module, each with endpoints of its own."""
    server = RunningServer(tmp_path_factory.mktemp("shared") / "data").start()
    yield server
    if server.process is not None:
        server.terminate()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A package of tests/packages as the `.tar.gz` that people upload."""

    def make(name: str) -> Path:
        target = tmp_path_factory.mktemp("archive") / f"{name}.tar.gz"
        with tarfile.open(target, "w:gz") as tar:
            for member in sorted((PACKAGES / name).iterdir()):
                if member.name != "__pycache__":
                    tar.add(member, arcname=member.name)
        return target

    return make


def until(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Ask again until there is an answer; the acceptance stories poll, as the clients in the field do."""
    give_up = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < give_up, "it did not happen in time"
        select.select([], [], [], 0.1)
    return answer


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    return until


@pytest.fixture(scope="session")
def package() -> Callable[[str], Path]:
    """The folder of a package of tests/packages."""
    return lambda name: PACKAGES / name


@pytest.fixture(scope="session")
def png() -> Callable[[int, int], bytes]:
    """A sound PNG of that width and height."""

    def make(width: int, height: int) -> bytes:
        import io

        from PIL import Image

        picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    return make
