"""A web application on a port of this machine, for as long as a command runs."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from seatrial.cli.failing import ExitCode, fail

HOST = "127.0.0.1"


class _Web(uvicorn.Server):
    """Leaves signals to the command."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def bound(port: int) -> socket.socket:
    """A listening socket on loopback; a port that is taken ends the command."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        fail(f"port {port} cannot be used: {error.strerror}", ExitCode.FAILED, "choose another --port; 0 finds one")


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Until the context ends; open connections are cut then."""
    web = _Web(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    task = asyncio.create_task(web.serve(sockets=[listener]))
    try:
        yield
    finally:
        web.should_exit = True
        await task


async def interrupted() -> None:
    """Return at Ctrl-C or SIGTERM."""
    came = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, came.set)
    await came.wait()
