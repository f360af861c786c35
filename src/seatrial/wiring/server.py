"""Serve: listen, run what was put together until a signal comes, then stop in a bounded time."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager

import structlog
import uvicorn

from seatrial.adapters.sql.lock import DataFolderLock
from seatrial.config import RunningServer, Settings, clear_running, note_running
from seatrial.http.app import build_app
from seatrial.http.services import Services
from seatrial.ports import crash_points
from seatrial.wiring.parts import Folders, Server, StartError, private_folder, put_together

log = structlog.get_logger()

HTTP_CLOSE_SECONDS = 5
LISTEN_BACKLOG = 2_048


async def run_server(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then stop in a bounded time; a second signal skips the grace.

    `on_ready` gets the URL once requests are answered.

    Raises:
        StartError: the port is taken, or the database cannot be used as it is set up.
        DataFolderInUse: another server owns the data folder.
    """
    crash_points.arm(os.environ.get(crash_points.VARIABLE))
    data = private_folder(settings.data)
    async with AsyncExitStack() as stack:
        home = stack.enter_context(DataFolderLock(data)).home()
        listener = stack.enter_context(_listen(settings.host, settings.port))
        url = _url(settings, listener)
        server = await stack.enter_async_context(put_together(settings, Folders(data), home, url))
        stops = stack.enter_context(_signals())
        web = _web(server.services)
        serving = asyncio.create_task(web.serve(sockets=[listener]))
        rounds = server.rounds()
        try:
            await _until_started(web, serving)
            await server.deployer.resume()
            note_running(data, RunningServer(url=url, pid=os.getpid(), region=settings.region))
            stack.callback(clear_running, data)
            on_ready(url)
            await _first({asyncio.create_task(stops.get()), serving})
        finally:
            await _stop(server, web, serving, rounds, stops, settings.stop_grace_seconds)


# ---------------------------------------------------------------------- listening


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(LISTEN_BACKLOG)
    except OSError as error:
        listener.close()
        remedy = "another server may use the port: choose one with --port, or --port 0 for any free one"
        raise StartError(f"cannot listen on {host}:{port} ({error.strerror}); {remedy}") from None
    with listener:
        yield listener


def _url(settings: Settings, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if settings.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://{host}:{port}"


class _Web(uvicorn.Server):
    """uvicorn without its own signal handling: signals are the server's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def _web(services: Services) -> _Web:
    config = uvicorn.Config(
        build_app(services),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_graceful_shutdown=HTTP_CLOSE_SECONDS,
        h11_max_incomplete_event_size=None,
    )
    return _Web(config)


async def _until_started(web: _Web, serving: asyncio.Task[None]) -> None:
    while not web.started:
        if serving.done():
            await serving
            raise StartError("the web server stopped while starting")
        await asyncio.sleep(0.005)


# ---------------------------------------------------------------------- stopping


@contextmanager
def _signals() -> Iterator[asyncio.Queue[int]]:
    loop = asyncio.get_running_loop()
    received: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, received.put_nowait, number)
    try:
        yield received
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _first(tasks: set[asyncio.Task[int] | asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _stop(
    server: Server,
    web: _Web,
    serving: asyncio.Task[None],
    rounds: Sequence[asyncio.Task[None]],
    stops: asyncio.Queue[int],
    grace_seconds: float,
) -> None:
    """Hand nothing out, let what runs end within the grace, hand the rest back, close the doors last."""
    started = time.monotonic()
    log.info("server.stopping", grace_seconds=grace_seconds)
    server.services.submitter.drain()
    server.dispatcher.drain()
    server.services.outside.close()
    closing = asyncio.create_task(server.deployer.close(grace_seconds))
    impatient = asyncio.create_task(stops.get())
    await _first({closing, impatient})
    if not closing.done():
        log.warning("server.stopping_now")
        await server.deployer.hurry()
    await closing
    impatient.cancel()
    await server.wind_up(rounds)
    web.should_exit = True
    await asyncio.gather(serving, return_exceptions=True)
    log.info("server.stopped", seconds=round(time.monotonic() - started, 1))
