"""The server's end of the socket to a worker process."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence

from seatrial.worker import protocol


class Channel:
    """Frames in and out, many per system call. Everything happens on the event loop.

    `on_frames` gets every frame that one read made whole. `on_malformed` is told once; nothing is read after it.
    `before_sending` is called before anything leaves.
    """

    def __init__(
        self,
        end: socket.socket,
        on_frames: Callable[[list[protocol.Frame]], None],
        on_malformed: Callable[[protocol.Malformed], None],
        before_sending: Callable[[], None],
    ) -> None:
        end.setblocking(False)
        self._socket = end
        self._loop = asyncio.get_running_loop()
        self._on_frames = on_frames
        self._on_malformed = on_malformed
        self._before_sending = before_sending
        self._decoder = protocol.Decoder()
        self._outgoing: deque[memoryview | bytes] = deque()
        self._flush_is_due = False
        self._reading = True
        self._loop.add_reader(end.fileno(), self._on_readable)

    def send(self, header: protocol.Header, segments: Sequence[bytes] = ()) -> None:
        """Send a frame, together with others of this turn of the loop. After the worker's end, nothing is sent."""
        self._outgoing.append(protocol.encode(header, segments))
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def drain(self) -> None:
        """Read what is there: after the worker's end it is the rest."""
        while self._reading and self._read():
            pass

    def close(self) -> None:
        """Let go of the socket, which tells a living worker to leave."""
        self._stop_reading()
        self._outgoing.clear()
        if self._socket.fileno() >= 0:
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()

    def _flush(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._before_sending()
        data = self._outgoing[0] if len(self._outgoing) == 1 else b"".join(self._outgoing)
        self._outgoing.clear()
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:  # the worker is gone; its end is seen elsewhere
            sent = len(data)
        self._flush_is_due = sent < len(data)
        if self._flush_is_due:
            self._outgoing.append(memoryview(data)[sent:])
            self._loop.add_writer(self._socket.fileno(), self._flush)
        else:
            self._loop.remove_writer(self._socket.fileno())

    def _on_readable(self) -> None:
        self._read()

    def _read(self) -> bool:
        try:
            data = self._socket.recv(protocol.RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._stop_reading()
            return False
        try:
            frames = self._decoder.feed(data)
            if frames:
                self._on_frames(frames)
                self._decoder.feed(b"")  # what followed them may be rubbish
        except protocol.Malformed as error:
            self._stop_reading()
            self._on_malformed(error)
            return False
        return True

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._socket.fileno())
