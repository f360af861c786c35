"""The worker's end of the permits: without one no piece of work is begun."""

# ruff: noqa: TID252  (the worker loads this package under a private name)
from __future__ import annotations

import fcntl
import os

from . import protocol


class Permits:
    """Numbers of pieces of work, in the order given, in a pipe that the server reads from too.

    Who takes a number out decides about that piece of work: the worker begins it, or the server has it back. So the
    server needs no answer from a process whose handler holds the interpreter for an hour.
    """

    def __init__(self, descriptor: int) -> None:
        self._pipe = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, protocol.DESCRIPTOR_MIN)
        os.close(descriptor)
        self._taken = 0
        os.register_at_fork(after_in_child=self.close)

    def take(self, number: int) -> bool:
        """True if this piece of work may begin; False if the server has taken it back."""
        while self._taken < number:
            try:
                record = os.read(self._pipe, protocol.PERMIT.size)
            except BlockingIOError:  # it was given before the work was, so it has been taken back
                return False
            self._taken = protocol.PERMIT.unpack(record)[0]
        return self._taken == number

    def close(self) -> None:
        """In a process that the handler forked: the permits are its parent's."""
        os.close(self._pipe)
