"""The server's end of the permits: what a worker may begin, and what it has to give back."""

from __future__ import annotations

import os

from seatrial.worker import protocol

_ALL = protocol.PERMIT.size * 4_096


class Permits:
    """A pipe of work numbers from which both the worker and the server take. See `worker/permits.py`."""

    def __init__(self) -> None:
        self.workers_end, self._ours = os.pipe()
        os.set_blocking(self.workers_end, False)
        self._held_back = bytearray()

    def give(self, number: int) -> None:
        """The work of that number may begin, from the next `flush` on."""
        self._held_back += protocol.PERMIT.pack(number)

    def flush(self) -> None:
        """Write what was given; to be done before the works themselves are sent."""
        if self._held_back:
            os.write(self._ours, self._held_back)
            self._held_back.clear()

    def take_back(self) -> list[int]:
        """The numbers of all work that had not begun; the worker will pass it over."""
        self.flush()
        try:
            records = os.read(self.workers_end, _ALL)
        except BlockingIOError:
            return []
        return [number for (number,) in protocol.PERMIT.iter_unpack(records)]

    def close(self) -> None:
        """The worker is gone."""
        os.close(self.workers_end)
        os.close(self._ours)
