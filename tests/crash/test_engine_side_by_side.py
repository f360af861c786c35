"""Workers that take several jobs at once, within the engine: whose death it was is found out, job by job."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from seatrial.domain.jobs import JobState
from seatrial.domain.limits import WORKER_DEATHS_MAX

ASK = """
import os, socket

def ask(given):
    if "port" in given:
        with socket.create_connection(("127.0.0.1", given["port"])) as door:
            door.sendall((given["name"] + "\\n").encode())
            if door.makefile().readline() == "die\\n":
                os._exit(9)
    return {"pid": os.getpid()}
"""
RUNPOD = {
    "ask.py": ASK,
    "handler.py": """
import asyncio, runpod
from ask import ask

async def handler(job):
    return await asyncio.to_thread(ask, job["input"])

runpod.serverless.start({"handler": handler, "concurrency_modifier": lambda now: 3})
""",
    "test_input.json": '{"input": {"name": "trial"}}',
    "seatrial.toml": f'[package]\nlayout = "runpod"\npython = "{sys.executable}"\n',
}
HTTP = {
    "ask.py": ASK,
    "serve.py": """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ask import ask

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.say({})

    def do_POST(self):
        try:
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        except ValueError as error:
            return self.say({"error": str(error)}, 400)
        self.say(ask(given))

    def say(self, told, status=200):
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
""",
    "samples/trial.json": '{"name": "trial"}',
    "seatrial.toml": """
[package]
layout = "http"
command = ["python3", "serve.py"]

[http]
network = "host"
concurrency = 3
""",
}


class Door:
    """Where handlers ask what to do: those that are at it now, and the most that ever were at once since `says`."""

    def __init__(self) -> None:
        self.inside: dict[str, asyncio.StreamWriter] = {}
        self.most = 0
        self.says: dict[str, str] = {}
        self._changed = asyncio.Condition()

    async def put_up(self) -> None:
        self._server = await asyncio.start_server(self._came, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = (await reader.readline()).decode().strip()
        async with self._changed:
            self.inside[name] = writer
            self.most = max(self.most, len(self.inside))
            self._changed.notify_all()
        if name in self.says:
            writer.write(f"{self.says[name]}\n".encode())
        try:
            await reader.read()
        except ConnectionError:
            pass
        writer.close()
        if self.inside.get(name) is writer:
            del self.inside[name]

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: self.inside.keys() >= {*names})

    def tell(self, name: str, what: str) -> None:
        self.inside[name].write(f"{what}\n".encode())

    def close(self) -> None:
        self._server.close()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    await made.put_up()
    yield made
    made.close()


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(HTTP, id="http"),
        pytest.param(
            RUNPOD, id="runpod", marks=pytest.mark.slow
        ),  # the engine is the same; it imports the SDK each time
    ],
)
async def test_a_death_that_jobs_share_is_charged_to_none_and_the_next_one_tells(
    clock: Any, engine: Any, door: Door, files: dict[str, str]
) -> None:
    await engine.deploy(engine.package(files))
    jobs = {}
    for name in ("a", "poison", "b"):
        jobs[name] = await engine.submit(body=json.dumps({"name": name, "port": door.port}).encode())
    await door.until("a", "poison", "b")
    door.most = 0
    door.says = {"a": "go", "b": "go", "poison": "die"}
    door.tell("poison", "die")
    ended = {name: await engine.ended(job_id) for name, job_id in jobs.items()}
    assert door.most == 1, "each of them has the worker for itself"
    for name in ("a", "b"):
        one = ended[name]
        assert (one.state, one.attempt, one.deaths, one.suspect) == (JobState.SUCCEEDED, 2, 0, True)
    poison = ended["poison"]
    assert (poison.state, poison.deaths) == (JobState.FAILED, WORKER_DEATHS_MAX)
    assert poison.failure["error_type"] == "worker_crashed"
    fresh = await engine.submit(body=b"{}")
    assert (await engine.ended(fresh)).state is JobState.SUCCEEDED
