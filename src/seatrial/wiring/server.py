"""Serve: listen, run what was put together until a signal comes, then stop in a bounded time."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

from seatrial.adapters.sql.lock import DataFolderLock
from seatrial.config import RunningServer, Settings, clear_running, note_running
from seatrial.http.app import build_app
from seatrial.http.doors.cog import Capacity, CogDoor
from seatrial.http.doors.studio import StudioDoor
from seatrial.http.services import Services
from seatrial.ports import crash_points
from seatrial.wiring.parts import Folders, Server, StartError, private_folder, put_together

log = structlog.get_logger()

HTTP_CLOSE_SECONDS = 5
LISTEN_BACKLOG = 2_048


async def run_server(settings: Settings, on_ready: Callable[[str, Mapping[str, str]], None]) -> None:
    """Serve until SIGTERM or SIGINT, then stop in a bounded time; a second signal skips the grace.

    `on_ready` gets the URL once requests are answered, and others by their names: that of clients where it is another
    (`public_url`), and those of the doors with a port of their own (`studio`, `cog`).

    Raises:
        StartError: the port is taken, or the database cannot be used as it is set up.
        DataFolderInUse: another server owns the data folder.
    """
    crash_points.arm(os.environ.get(crash_points.VARIABLE))
    data = private_folder(settings.data)
    async with AsyncExitStack() as stack:
        home = stack.enter_context(DataFolderLock(data)).home()
        listener = stack.enter_context(_listen(settings.host, settings.port, "--port"))
        url = _url(settings, listener)
        beside = {
            name: stack.enter_context(_listen(settings.host, port, f"--{name}"))
            for name, (_, port) in _own_doors(settings).items()
        }
        server = await stack.enter_async_context(put_together(settings, Folders(data), home, url))
        stops = stack.enter_context(_signals())
        webs = [_Web(build_app(server.services, Capacity(settings.cog_at_capacity)), listener)]
        webs += [_Web(_door(name, settings, server.services), one) for name, one in beside.items()]
        rounds = server.rounds()
        try:
            for web in webs:
                await web.started_up()
            await server.deployer.resume()
            note_running(data, RunningServer(url, os.getpid(), settings.region, settings.public_url))
            stack.callback(clear_running, data)
            public = {} if settings.public_url is None else {"public_url": settings.public_url}
            on_ready(url, public | {name: _url(settings, one) for name, one in beside.items()})
            await _first({asyncio.create_task(stops.get()), *(web.serving for web in webs)})
        finally:
            await _stop(server, webs, rounds, stops, settings.stop_grace_seconds)


# ---------------------------------------------------------------------- listening


@contextmanager
def _listen(host: str, port: int, option: str) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(LISTEN_BACKLOG)
    except OSError as error:
        listener.close()
        named = "" if option == "--port" else "ENDPOINT:"
        chosen = f"choose one with {option} {named}PORT, or {option} {named}0 for any free one"
        remedy = f"another server may use the port: {chosen}"
        raise StartError(f"cannot listen on {host}:{port} ({error.strerror}); {remedy}") from None
    with listener:
        yield listener


def _url(settings: Settings, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if settings.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://{host}:{port}"


def _own_doors(settings: Settings) -> dict[str, tuple[str, int]]:
    """Endpoint and port of each door that has a port of its own."""
    doors = {"studio": settings.studio_door, "cog": settings.cog_door}
    return {name: door for name, door in doors.items() if door is not None}


def _door(name: str, settings: Settings, services: Services) -> ASGIApp:
    endpoint, _ = _own_doors(settings)[name]
    if name == "studio":
        return StudioDoor(services, endpoint, keyless=settings.is_loopback)
    return CogDoor(services, endpoint, keyless=settings.is_loopback, capacity=Capacity(settings.cog_at_capacity))


class _Web(uvicorn.Server):
    """uvicorn without its own signal handling: signals are the server's."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        super().__init__(_config(app))
        self.serving = asyncio.create_task(self.serve(sockets=[listener]))

    async def started_up(self) -> None:
        """Wait until requests are answered."""
        while not self.started:
            if self.serving.done():
                await self.serving
                raise StartError("the web server stopped while starting")
            await asyncio.sleep(0.005)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_graceful_shutdown=HTTP_CLOSE_SECONDS,
        h11_max_incomplete_event_size=None,
    )


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
    webs: Sequence[_Web],
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
    for web in webs:
        web.should_exit = True
    await asyncio.gather(*(web.serving for web in webs), return_exceptions=True)
    log.info("server.stopped", seconds=round(time.monotonic() - started, 1))
