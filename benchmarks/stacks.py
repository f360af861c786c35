"""Start both stacks on loopback with an echo handler and one worker; everything ends with the context."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from benchmarks.load import Stack

REPOSITORY = Path(__file__).resolve().parents[1]
ECHO = REPOSITORY / "tests" / "packages" / "echo"


@contextmanager
def process(
    *command: str, variables: dict[str, str] | None = None, without: frozenset[str] = frozenset()
) -> Iterator[subprocess.Popen[str]]:
    """A process whose words can be read, with `variables` and `without` some of ours; it ends with the context."""
    environment = {name: value for name, value in os.environ.items() if name not in without}
    path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    environment |= {**(variables or {}), "PYTHONPATH": path}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _until_open(port: int) -> None:
    give_up = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if time.monotonic() > give_up:
                raise
            select.select([], [], [], 0.05)


@contextmanager
def seatrial_stack() -> Iterator[Stack]:
    """Seatrial with its defaults: every 202 and every result is in an fsynced database."""
    with tempfile.TemporaryDirectory(prefix="seatrial-bench-") as folder:
        data = str(Path(folder) / "data")
        cli = [sys.executable, "-m", "seatrial"]
        with process(*cli, "serve", "--data", data, "--port", "0") as server:
            assert server.stdout is not None
            url = next(word for word in server.stdout.readline().split() if word.startswith("http"))
            subprocess.run(
                [*cli, "deploy", str(ECHO), "--name", "echo", "--data", data], check=True, capture_output=True
            )
            told = subprocess.run([*cli, "env", "--data", data, "--json"], check=True, capture_output=True, text=True)
            key = httpx.Response(200, text=told.stdout).json()["SEATRIAL_API_KEY"]
            yield Stack(
                name="Seatrial",
                url=url,
                headers={"Authorization": f"Bearer {key}"},
                submit_path="/v1/endpoints/echo/jobs",
                result_path=lambda job_id: f"/v1/jobs/{job_id}/result?wait=30",
            )


@contextmanager
def celery_stack() -> Iterator[Stack]:
    """FastAPI + Celery + Redis, append-only file on, flushed every second."""
    redis = shutil.which("redis-server")
    if redis is None:
        raise SystemExit("redis-server is not here: run scripts/install-system-package redis-server, then again")
    with ExitStack() as running:
        folder = running.enter_context(tempfile.TemporaryDirectory(prefix="peer-bench-"))
        redis_port, web_port = _free_port(), _free_port()
        options = ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--bind", "127.0.0.1"]
        running.enter_context(process(redis, "--port", str(redis_port), "--dir", folder, *options))
        _until_open(redis_port)
        variables = {"PEER_REDIS": f"redis://127.0.0.1:{redis_port}"}
        worker = ["-m", "celery", "-A", "benchmarks.celery_peer.tasks", "worker", "--concurrency", "1"]
        quiet = ["--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        running.enter_context(process(sys.executable, *worker, *quiet, variables=variables))
        web = ["-m", "uvicorn", "benchmarks.celery_peer.web:app", "--port", str(web_port), "--no-access-log"]
        running.enter_context(process(sys.executable, *web, variables=variables))
        _until_open(web_port)
        yield Stack(
            name="FastAPI + Celery + Redis",
            url=f"http://127.0.0.1:{web_port}",
            headers={},
            submit_path="/jobs",
            result_path=lambda job_id: f"/jobs/{job_id}/result",
        )
