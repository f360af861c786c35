"""The server's end of the asks: which work a handler is to stop with."""

from __future__ import annotations

import os

from seatrial.worker import protocol


class Asks:
    """A pipe of work numbers that the worker reads while its handler is at work. See `worker/asks.py`."""

    def __init__(self) -> None:
        self.workers_end, self._ours = os.pipe()

    def ask(self, number: int) -> None:
        """The handler is to stop with that piece of work."""
        try:
            os.write(self._ours, protocol.PERMIT.pack(number))
        except BrokenPipeError:
            pass  # the process has left, or closed what is not its own

    def close_workers_end(self) -> None:
        """The process has its own by now."""
        os.close(self.workers_end)

    def close(self) -> None:
        """The worker is gone, or has to leave."""
        os.close(self._ours)
