"""The worker's end of the socket."""

# ruff: noqa: TID252  (the worker loads this package under a private name)
from __future__ import annotations

import collections
import fcntl
import os
import socket
import threading
from typing import Deque, Optional, Sequence  # noqa: UP035  (Python 3.9)

from . import protocol


class Link:
    """Frames in and out. What is to be sent is held back until the next `flush` or wait, to save calls.

    There is no reading thread: the kernel's buffer reads ahead, and a process without threads may fork.
    """

    def __init__(self, descriptor: int) -> None:
        high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, protocol.DESCRIPTOR_MIN)
        os.close(descriptor)
        self._socket = socket.socket(fileno=high)
        self._decoder = protocol.Decoder()
        self._received: Deque[protocol.Frame] = collections.deque()  # noqa: UP006
        self._held: list[bytes] = []
        self._sending = threading.Lock()
        os.register_at_fork(after_in_child=self._socket.close)

    def send(self, header: protocol.Header, segments: Sequence[bytes] = ()) -> None:
        """Send a frame at the next `flush`."""
        self._held.append(protocol.encode(header, segments))

    def flush(self) -> None:
        """Send what was held back."""
        if self._held:
            data = self._held[0] if len(self._held) == 1 else b"".join(self._held)
            self._held.clear()
            with self._sending:
                self._socket.sendall(data)

    def tell(self, header: protocol.Header, segments: Sequence[bytes] = ()) -> None:
        """Send a frame at once, from whatever thread of the handler's."""
        with self._sending:
            self._socket.sendall(protocol.encode(header, segments))

    def hang_up(self) -> None:
        """Receive nothing more, also where a thread waits for it; what is to be sent may still be."""
        self._socket.shutdown(socket.SHUT_RD)

    def waiting(self) -> bool:
        """True if a frame is here already."""
        return bool(self._received) or self._receive(socket.MSG_DONTWAIT)

    def receive(self) -> Optional[protocol.Frame]:  # noqa: UP045
        """The next frame; None once the server has closed the socket."""
        while not self._received:
            if not self._receive(0):
                return None
        return self._received.popleft()

    def _receive(self, flags: int) -> bool:
        try:
            data = self._socket.recv(protocol.RECEIVE_BYTES, flags)
        except BlockingIOError:
            return False
        except ConnectionResetError:  # the server is gone, and did not read all
            return False
        self._received.extend(self._decoder.feed(data))
        return bool(self._received) if flags else bool(data)
