"""The disk is full, the database is locked: accepted jobs wait and then finish, new ones get an answer to retry on."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

DISK_BYTES = 96 << 20
BIG = "'x' * 300_000"  # an answer that becomes a blob
ROW = {"code": "1" + " " * 15_000}  # a request that needs room in the database


class SmallDisk:
    """The disk under a data folder. Full: not one more byte can be written there.

    Where nothing may be mounted, the limit of the server's process stands in for the disk's; without a server, that
    of this process and its children.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        options = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", str(folder)]
        self._mounted = os.geteuid() == 0 and subprocess.run(options, capture_output=True).returncode == 0

    def fill(self, server: Any) -> None:
        if not self._mounted:
            self._limit(server, 0)
            return
        with (self.folder / "filler").open("wb", buffering=0) as filler:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(size))

    def free(self, server: Any) -> None:
        if not self._mounted:
            self._limit(server, None)
            return
        (self.folder / "filler").unlink()

    def _limit(self, server: Any, size_bytes: int | None) -> None:
        pid = server.process.pid if server else os.getpid()
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size_bytes is None else size_bytes, hard))

    def close(self) -> None:
        if self._mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    (tmp_path / "server0").mkdir()
    made = SmallDisk(tmp_path / "server0" / "data")
    yield made
    made.close()


@pytest.fixture
def disk_server(disk: SmallDisk, start_server: Any) -> Any:
    return start_server(disk.folder)


@pytest.fixture
def other_api(disk_server: Any, api_of: Any) -> Any:
    return api_of(disk_server)


def refusals(api: Any, name: str) -> None:
    """Every door says: later. All at once, since each waits for the database first."""
    runtime = api.server.client("sagemaker-runtime", retries={"max_attempts": 0})
    with ThreadPoolExecutor(3) as threads:
        native = threads.submit(api.post, name, ROW)
        aws = [
            threads.submit(invoke, EndpointName=name, Body=json.dumps(ROW))
            for invoke in (runtime.invoke_endpoint_async, runtime.invoke_endpoint)
        ]
    answer = native.result()
    assert (answer.status_code, answer.json()["error_type"]) == (503, "store_unavailable"), answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    for one in aws:
        refused = one.exception()
        assert isinstance(refused, ClientError)
        assert refused.response["Error"]["Code"] == "ServiceUnavailable"
        assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert "retry-after" in refused.response["ResponseMetadata"]["HTTPHeaders"]


def health(api: Any) -> tuple[int, dict[str, str]]:
    answer = httpx.get(f"{api.server.url}/healthz", timeout=20, trust_env=False)
    return answer.status_code, answer.json()["parts"]


def test_a_full_disk(disk_server: Any, disk: SmallDisk, other_api: Any, gate: Any, eventually: Any) -> None:
    api = other_api
    api.serve("full", workers=2)
    running = api.submit("full", f"{gate.code} + {BIG}")
    gate.reached()
    behind = [api.submit("full", BIG) for _ in range(3)]
    eventually(lambda: all(api.job(one)["ended_at"] for one in behind))
    waiting = api.submit("full", f"{gate.code} + {BIG}")
    assert health(api)[0] == 200

    disk.fill(disk_server)
    gate.open("a")
    eventually(lambda: health(api)[1]["objects"] == "down")
    eventually(lambda: api.post("full", ROW).status_code == 503)  # once the last free pages are used up
    refusals(api, "full")
    s3 = disk_server.client("s3", retries={"max_attempts": 0})
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket="seatrial-inputs", Key="a", Body=bytes(1 << 20))
    assert refused.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert health(api)[0] == 503
    assert api.job(running)["status"] == "running"

    disk.free(disk_server)
    gate.reached()
    gate.open("b")
    assert api.value(running) == "a" + "x" * 300_000
    assert api.value(waiting) == "b" + "x" * 300_000
    eventually(lambda: health(api)[0] == 200)
    assert api.run("full", "1") == 1
    eventually(lambda: set(api.endpoint("full")["jobs"]) == {"succeeded"})


def test_a_locked_database(own_api: Any, gate: Any, eventually: Any) -> None:
    api = own_api
    api.serve("locked")
    running = api.submit("locked", f"{gate.code} or 7")
    gate.reached()
    other = sqlite3.connect(api.server.data / "seatrial.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    gate.open()
    refusals(api, "locked")
    assert health(api) == (503, {"jobs": "down", "objects": "ok", "endpoints": "ok", "logs": "ok"})
    assert api.job(running)["status"] == "running"
    other.rollback()
    other.close()
    assert api.value(running) == 7
    eventually(lambda: health(api)[0] == 200)


def test_a_start_without_room_says_so(disk: SmallDisk, disk_server: Any) -> None:
    disk_server.terminate()
    disk.fill(None)
    with pytest.raises(AssertionError, match="cannot start on") as told:
        disk_server.start()
    assert "Traceback" not in str(told.value)
    assert "remedy: make room on the disk" in str(told.value)
    disk.free(None)
    disk_server.start()


def test_postgresql_is_away(make_server: Any, api_of: Any, postgres: Any, gate: Any, eventually: Any) -> None:
    api = api_of(make_server("--database", postgres.database()))
    api.serve("away")
    running = api.submit("away", f"{gate.code} or 7")
    gate.reached()
    postgres.kill()
    try:
        gate.open()
        refusals(api, "away")
        assert health(api)[1] == {"jobs": "down", "objects": "down", "endpoints": "down", "logs": "ok"}
    finally:
        postgres.start()
    assert api.value(running) == 7
    eventually(lambda: health(api)[0] == 200)
    assert api.run("away", "1") == 1
