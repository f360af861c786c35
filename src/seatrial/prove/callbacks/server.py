"""The receiver as a server: in the foreground for a command, in a thread for a stress run."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from seatrial.prove.callbacks.app import Desk, build_app, loopback_hosts
from seatrial.prove.callbacks.inbox import Inbox
from seatrial.prove.callbacks.misbehaviour import Orders
from seatrial.prove.limits import CALLBACK_STOP_SECONDS


class CannotListen(Exception):
    """The receiver cannot be had at that address; the message says why, `remedy` what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class _Server(uvicorn.Server):
    """uvicorn that ends on a signal, and does not raise it once more when it has ended."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Only the main thread may listen to signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver that listens. `url` is what senders are given, `page_url` where to look at it from this machine."""

    url: str
    page_url: str
    inbox: Inbox
    orders: Orders
    server: uvicorn.Server
    socket: socket.socket

    def serve(self) -> None:
        """Until SIGINT or SIGTERM."""
        self.server.run(sockets=[self.socket])


def listen(
    inbox: Inbox,
    orders: Orders | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    base_url: str | None = None,
    secrets: Sequence[str] = (),
    confirms: bool = False,
) -> Receiver:
    """Take the address; serving begins later. `port` 0: any that is free. `base_url`: how senders reach it.

    `confirms`: topics of Amazon SNS that ask whether they may tell it things are answered that they may.

    Raises:
        CannotListen: the address is taken or not this machine's, or it is no loopback one and there is no secret.
    """
    is_open = is_loopback(host)
    if not is_open and not secrets:
        raise CannotListen(
            f"{host} can be reached by others, and there is no secret to tell senders and readers from strangers",
            "add --secret, or listen on 127.0.0.1",
        )
    taken = _bound(host, port)
    bound_port = taken.getsockname()[1]
    page_url = _url("127.0.0.1" if host in ("0.0.0.0", "::") else host, bound_port)  # noqa: S104 - compared, not bound
    url = (base_url or page_url).rstrip("/")
    desk = Desk(inbox, orders or Orders(), tuple(secrets), is_open, loopback_hosts(page_url, url), confirms)
    config = uvicorn.Config(
        build_app(desk),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=CALLBACK_STOP_SECONDS,
        lifespan="off",
    )
    return Receiver(url, page_url, inbox, desk.orders, _Server(config), taken)


@contextmanager
def receiving(
    inbox: Inbox,
    orders: Orders | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    base_url: str | None = None,
    secrets: Sequence[str] = (),
) -> Iterator[Receiver]:
    """A receiver in a thread of this process, until the block ends. Raises CannotListen, as `listen` does."""
    receiver = listen(inbox, orders, host=host, port=port, base_url=base_url, secrets=secrets)
    thread = threading.Thread(target=receiver.serve, name="callbacks", daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.should_exit = True
        thread.join(CALLBACK_STOP_SECONDS * 2)
        receiver.socket.close()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"{host} is no address to listen at: {error.strerror}", "such as 127.0.0.1") from None
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(512)
    except OSError as error:
        taken.close()
        remedy = "choose another one with --port; 0 takes any that is free"
        if error.errno == errno.EADDRNOTAVAIL:
            remedy = "it is no address of this machine: 0.0.0.0 listens at all of them"
        raise CannotListen(f"port {port} of {host} cannot be had: {error.strerror}", remedy) from None
    return taken


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
