"""One real server on a data folder and a port of its own, to be killed and started again."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import boto3
import httpx
from botocore.config import Config

PACKAGE = Path(__file__).with_name("package")
PATIENCE_SECONDS = 60.0


@dataclass
class Server:
    """`seatrial serve` under test. Clients keep its address over restarts, as they do in the field."""

    folder: Path
    options: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = (sys.executable, "-m", "seatrial")
    process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.data = self.folder / "data"
        self._orders = self.folder / "crash-points"
        self.log = self.folder / "server.log"
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> bool:
        """True once it is ready; False when it ended before that."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SEATRIAL_")}
        environment |= {"SEATRIAL_CRASH_POINTS": str(self._orders), **self.environment}
        place = ["serve", "--data", str(self.data), "--port", str(self.port)]
        with self.log.open("a") as log:
            self.process = self.begin([*place, *self.options], log, environment)
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_SECONDS)
        return bool(ready and self.process.stdout.readline())

    def begin(self, arguments: Sequence[str], log: IO[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
        """Its process."""
        command = [*self.command, *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)

    def order(self, crash_point: str) -> None:
        """Kill or hold itself at a point; see ports/crash_points.py. It may be said before the start."""
        draft = self._orders.with_suffix(".draft")
        draft.write_text(crash_point)
        draft.replace(self._orders)

    def forget_order(self) -> None:
        """It was not reached in time."""
        self._orders.unlink(missing_ok=True)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def ended(self) -> int | None:
        """Its exit code, once it has ended."""
        assert self.process is not None
        return self.process.poll()

    def kill(self) -> None:
        """kill -9 of the server itself; its workers are left to the next one."""
        assert self.process is not None
        self.process.kill()
        self.wait_ended()

    def stop(self) -> None:
        """SIGTERM, as an operator does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            self.wait_ended()

    def close(self) -> None:
        """Stop it, and let go of its clients."""
        self.stop()
        for name in ("http", "s3"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()

    def wait_ended(self) -> int:
        """Its exit code; a negative one is the signal that ended it."""
        assert self.process is not None
        code = self.process.wait(PATIENCE_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def wait_held(self) -> None:
        """Until it has stopped itself at a crash point."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while _state_of(self.pid) not in "Tt":
            assert self.ended() is None, f"the server ended with {self.ended()}"
            assert time.monotonic() < give_up, "the server never came to that point"
            time.sleep(0.01)

    def go_on(self) -> None:
        """After `wait_held`."""
        os.kill(self.pid, signal.SIGCONT)

    def workers(self) -> list[int]:
        """The processes that it started itself."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in children]

    # --- as its clients see it

    @cached_property
    def variables(self) -> dict[str, str]:
        """What `seatrial env` tells a client; the server has been started."""
        told = subprocess.run(
            [sys.executable, "-m", "seatrial", "env", "--data", str(self.data), "--json"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return dict(json.loads(told.stdout))

    @cached_property
    def http(self) -> httpx.Client:
        """A client of the native API."""
        return self.new_http()

    def new_http(self) -> httpx.Client:
        """Another one, for a thread of its own."""
        key = {"Authorization": f"Bearer {self.variables['SEATRIAL_API_KEY']}"}
        return httpx.Client(base_url=self.url, headers=key, timeout=PATIENCE_SECONDS, trust_env=False)

    def client(self, service: str, **config: Any) -> Any:
        """An unmodified boto3 client."""
        session = boto3.session.Session(
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            region_name=self.variables["AWS_DEFAULT_REGION"],
        )
        return session.client(service, endpoint_url=self.url, config=Config(**config))

    @cached_property
    def s3(self) -> Any:
        """A client of its objects."""
        return self.client("s3")

    # --- endpoints

    def deploy(self, name: str, workers: int = 1, webhook: str | None = None) -> None:
        """In service when this returns."""
        self.put(name, workers, webhook)
        endpoint = self.settled(name)
        assert endpoint is not None, name
        assert endpoint["status"] == "InService", endpoint["failure_reason"]

    def put(self, name: str, workers: int = 1, webhook: str | None = None) -> httpx.Response:
        """Ask for a deployment or an update; `webhook` is told of every job's end."""
        archive = self.folder / "package.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for member in sorted(PACKAGE.iterdir()):
                if member.name != "__pycache__":
                    tar.add(member, arcname=member.name)
        files = {"package": (archive.name, archive.read_bytes(), "application/gzip")}
        wanted = {"workers": workers} | ({"webhook": webhook} if webhook else {})
        settings = {"settings": json.dumps(wanted)}
        return self.http.put(f"/v1/endpoints/{name}", files=files, data=settings)

    def settled(self, name: str) -> dict[str, Any] | None:
        """The endpoint once it is in service or failed; None: there is none."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self.http.get(f"/v1/endpoints/{name}")
            if answer.status_code == 404:
                return None
            endpoint = answer.json()
            if endpoint["status"] in ("InService", "Failed") and not endpoint.get("target_version"):
                return dict(endpoint)
            assert time.monotonic() < give_up, endpoint
            time.sleep(0.05)


def _state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
