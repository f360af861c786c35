"""A web application on a port of this machine, for as long as a command runs."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
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


@contextmanager
def serving_beside(app: ASGIApp, listener: socket.socket, close: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """The same in a thread of its own, beside a command that has other work; `close` is the last that runs there."""
    loop, ended = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with serving(app, listener):
            await ended.wait()
        await close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="web", daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


async def interrupted() -> None:
    """Return at Ctrl-C or SIGTERM."""
    came = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, came.set)
    await came.wait()
