"""A server in a folder of its own, with its default settings, and trials of packages on it."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.stacks import process
from seatrial.config import load_credentials

TRIAL_SECONDS_MAX = 90


@dataclass(frozen=True, slots=True)
class Tried:
    """How a trial ended. `stage` is the one that failed, empty if the endpoint went into service."""

    stage: str
    reason: str
    stages: Mapping[str, Mapping[str, Any]]
    seconds: float

    def took(self, stage: str) -> float:
        """How long a stage took, in seconds; 0 if it never ended."""
        one = self.stages.get(stage)
        if one is None or not one["ended_at"]:
            return 0.0
        ended, started = (datetime.fromisoformat(one[when]) for when in ("ended_at", "started_at"))
        return (ended - started).total_seconds()


class Yard:
    """Tries packages on a running server; several threads may at once."""

    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=75, trust_env=False)

    def tried(self, name: str, package: Path) -> Tried:
        """Deploy the package, wait for the end of its trial, and remove the endpoint."""
        began = time.monotonic()
        path = f"/v1/endpoints/{name}"
        content = package.read_bytes() if package.is_file() else _packed(package)
        endpoint = self._asked("PUT", path, files={"package": ("package.tar.gz", content, "application/gzip")})
        while endpoint["status"] not in ("InService", "Failed"):
            if time.monotonic() - began > TRIAL_SECONDS_MAX:
                raise TimeoutError(f"the trial of {name} did not end: {endpoint}")
            endpoint = self._asked("GET", path, params={"wait": 30, "since": endpoint["change"]})
        stages = {one["stage"]: one for one in endpoint["versions"][-1]["stages"]}
        failed = next((stage for stage, one in stages.items() if one["state"] == "failed"), "")
        if endpoint["status"] == "Failed" and not failed:
            failed = "inspect"
        self._asked("DELETE", path)
        return Tried(failed, endpoint["failure_reason"] or "", stages, time.monotonic() - began)

    def _asked(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = self._http.request(method, path, **more)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return dict(answer.json())

    def close(self) -> None:
        """End the connections."""
        self._http.close()


@contextmanager
def yard(*options: str) -> Iterator[Yard]:
    """A server with its default settings, but for `options` of `seatrial serve`; it is gone afterwards."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("SEATRIAL_")}
    with tempfile.TemporaryDirectory(prefix="seatrial-yard-") as folder:
        data = Path(folder) / "data"
        command = (sys.executable, "-m", "seatrial", "serve", "--data", str(data), "--port", "0", "--json", *options)
        with process(*command, without=frozenset(kept)) as server:
            assert server.stdout is not None
            said = server.stdout.readline()
            if not said:
                raise SystemExit("the server did not start; `seatrial serve` says why")
            made = Yard(json.loads(said)["url"], load_credentials(data).api_key)
            try:
                yield made
            finally:
                made.close()


def _packed(folder: Path) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)
    return made.getvalue()
