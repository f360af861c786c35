"""`python -m benchmarks.recovery`: how long a server takes to come back, and a job to run again.

- kill -9 of a server with 10,000 queued jobs: until the next one answers, and until the first of them has ended.
  Side by side with the same for an empty queue, so the ratio says what the queue costs.
- kill -9 of a worker while a job runs: until that job runs again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from torture import v1
from torture.server import Server
from torture.work import ENDPOINT, Errand

SUBMITTERS = 8


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.recovery", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="seatrial-recovery-"))
    server = Server(folder)
    try:
        assert server.start()
        server.deploy(ENDPOINT)
        found = {"worker_killed": again(server), "empty": back(server, 0), "full": back(server, asked.jobs)}
    finally:
        server.close()
        shutil.rmtree(folder)
    _print(found, asked.jobs, asked.json)


def back(server: Server, jobs: int) -> dict[str, float]:
    """Fill the queue behind a job that waits, kill the server, start it again. In seconds from the start."""
    with socket.create_server(("127.0.0.1", 0)) as gate:
        port = gate.getsockname()[1]
        blocking = Errand(0, f"blocking {jobs}", port=port)
        v1.send_until_accepted(server.http, blocking)
        held, _ = gate.accept()
        ids = _fill(server, jobs)
        server.kill()
        held.close()
    began = time.perf_counter()
    assert server.start()
    ready = time.perf_counter() - began
    for job_id in [*blocking.ids, *ids[:1]]:
        assert v1.ended(server.http, job_id)["status"] == "succeeded"
    first = time.perf_counter() - began
    while any(server.http.get(f"/v1/endpoints/{ENDPOINT}").json()["jobs"].get(one) for one in ("queued", "running")):
        time.sleep(0.1)
    return {"ready": ready, "first_job_ended": first, "all_ended": time.perf_counter() - began}


def again(server: Server) -> dict[str, float]:
    """Kill the worker while it executes a job; in seconds until a new one executes it."""
    with socket.create_server(("127.0.0.1", 0)) as gate:
        errand = Errand(1, "again", port=gate.getsockname()[1])
        v1.send_until_accepted(server.http, errand)
        held, _ = gate.accept()
        began = time.perf_counter()
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
        held.close()
        held, _ = gate.accept()
        seconds = time.perf_counter() - began
        held.close()
    (job_id,) = errand.ids
    job = v1.ended(server.http, job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 2), job
    return {"runs_again": seconds}


def _fill(server: Server, jobs: int) -> list[str]:
    def submit(number: int) -> str:
        errand = Errand(number, f"{jobs} {number}")
        v1.send_until_accepted(server.http, errand)
        return next(iter(errand.ids))

    with ThreadPoolExecutor(SUBMITTERS) as threads:
        return list(threads.map(submit, range(1, jobs + 1)))


def _print(found: dict[str, dict[str, Any]], jobs: int, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found | {"jobs": jobs}))
        return
    full, empty = found["full"], found["empty"]
    print(f"server killed, {jobs:,} jobs queued: ready after {full['ready']:.2f} s, the first ended after "
          f"{full['first_job_ended']:.2f} s, all after {full['all_ended']:.1f} s")  # fmt: skip
    print(f"server killed, nothing queued: ready after {empty['ready']:.2f} s  "
          f"(ratio {full['ready'] / empty['ready']:.2f})")  # fmt: skip
    print(f"worker killed: its job runs again after {found['worker_killed']['runs_again']:.2f} s")


if __name__ == "__main__":
    main()
