"""`python -m benchmarks.keys`: what a key costs a request, side by side in one process.

The same request (`GET /v1/jobs/{id}`, the route that clients poll) by the owner's key and by a key of one endpoint with
one scope, in interleaved rounds without sockets; and finding out who asks and whether they may, alone. Processor time.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog

from seatrial.adapters.sql.lock import DataFolderLock
from seatrial.config import Settings
from seatrial.domain.access import require
from seatrial.domain.credentials import EVERYTHING, KeyScope
from seatrial.domain.keys import KeyPlan
from seatrial.engine.deploy import Deployment
from seatrial.engine.submission import Submission
from seatrial.http.app import build_app
from seatrial.wiring.parts import Folders, Server, private_folder, put_together

PACKAGE = Path(__file__).resolve().parents[1] / "tests" / "packages" / "echo"
ROUNDS, REQUESTS = 30, 400
OWNER = "owner's key"
READ = KeyPlan("bench", frozenset({KeyScope.READ}), frozenset({"echo"}), frozenset())


async def _job(server: Server) -> str:
    owner = server.services.keyring.owner.owner
    await server.deployer.create(Deployment("echo", owner, EVERYTHING, PACKAGE, "echo"))
    while (await server.deployer.endpoint("echo")).active_version is None:
        await server.deployer.wait("echo", server.deployer.heard("echo"), 5)
    submission = Submission("echo", owner, EVERYTHING, "v1", body=b'{"text": "ahoy"}')
    accepted = await server.services.submitter.submit(submission)
    await server.services.inspector.wait(accepted.job_id, 30)
    return accepted.job_id


def _asking(app: Any, path: str, api_key: str) -> Callable[[], Awaitable[float]]:
    """Requests of one key; microseconds of processor time each."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(message)

    async def ask() -> float:
        began = time.process_time()
        for _ in range(REQUESTS):
            headers = [(b"host", b"bench"), (b"authorization", f"Bearer {api_key}".encode())]
            scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
            await app({**scope, "raw_path": path.encode(), "scheme": "http"}, receive, send)
        return (time.process_time() - began) / REQUESTS * 1e6

    return ask


async def _measured(server: Server) -> dict[str, float]:
    services = server.services
    path = f"/v1/jobs/{await _job(server)}"
    app = build_app(services)
    api_key = (await services.keys.create(READ)).api_key

    async def alone() -> float:
        began = time.process_time()
        for _ in range(REQUESTS):
            principal = services.keyring.by_api_key(api_key)
            assert principal is not None
            require(principal, KeyScope.READ, endpoint="echo")
        return (time.process_time() - began) / REQUESTS * 1e6

    owner = _asking(app, path, services.keyring.credentials.api_key)
    asking = {OWNER: owner, "key of one endpoint": _asking(app, path, api_key), "the decision alone": alone}
    taken: dict[str, list[float]] = {name: [] for name in asking}
    for _ in range(ROUNDS):
        for name, ask in asking.items():
            taken[name].append(await ask())
    return {name: statistics.median(values) for name, values in taken.items()}


async def _run(folder: Path) -> dict[str, float]:
    data = private_folder(folder / "data")
    async with AsyncExitStack() as stack:
        home = stack.enter_context(DataFolderLock(data)).home()
        parts = put_together(Settings(data=data, drill_seconds=0), Folders(data), home, "http://bench")
        server = await stack.enter_async_context(parts)
        rounds = server.rounds()
        try:
            return await _measured(server)
        finally:
            server.services.submitter.drain()
            server.dispatcher.drain()
            server.services.outside.close()
            await server.deployer.close(0)
            await server.wind_up(rounds)


def main() -> int:
    """Measure and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as folder:
        medians = asyncio.run(_run(Path(folder)))
    for name, micros in medians.items():
        print(f"{name:22} {micros:8.1f} us   {micros / medians[OWNER]:5.2f} x the owner's")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
