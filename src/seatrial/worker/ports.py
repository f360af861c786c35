"""Ports for a package's own server: 8080 of its own loopback, or a block of the machine's that nobody else has."""

from __future__ import annotations

import random
import socket
from typing import NamedTuple, Optional

# ruff: noqa: UP045  (Python 3.9)
CONTAINER_PORT = 8080  # where SageMaker looks for a container's server
BLOCK = 16  # ports for one worker: the server's own, and those of SAGEMAKER_SAFE_PORT_RANGE
FIRST, LAST = 20_000, 32_000  # below those that Linux gives to whoever asks for any
TRIES_MAX = 200


class PortsTaken(Exception):
    """No block of ports is free."""

    error_type = "load_failed"
    remedy = 'Free some ports between 20000 and 32000, or set network = "own" in [http].'


class Ports(NamedTuple):
    """The server's port, and a range that it may use besides. `lock` is held as long as the worker lives."""

    port: int
    first: int
    last: int
    lock: Optional[socket.socket] = None

    @property
    def safe_range(self) -> str:
        """As SAGEMAKER_SAFE_PORT_RANGE has it."""
        return f"{self.first}-{self.last}"


def ports(wanted: Optional[int], *, own_network: bool) -> Ports:
    """The ports of this worker; `wanted` is the server's, if it cannot choose.

    Raises:
        PortsTaken: none is free.
    """
    if own_network:
        port = wanted or CONTAINER_PORT
        return Ports(port, CONTAINER_PORT + BLOCK, CONTAINER_PORT + 2 * BLOCK - 1)
    for start in random.sample(range(FIRST, LAST, BLOCK), TRIES_MAX):
        lock = _locked(start)
        if lock is not None and all(_is_free(port) for port in range(start, start + BLOCK)):
            return Ports(wanted or start, start + 1, start + BLOCK - 1, lock)
    raise PortsTaken(f"no {BLOCK} ports in a row between {FIRST} and {LAST} are free")


def _locked(start: int) -> Optional[socket.socket]:
    """A name that only one process of this network can have, and loses when it ends."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0seatrial-ports-{start}")
    except OSError:
        lock.close()
        return None
    return lock


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what has just ended does not count
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
