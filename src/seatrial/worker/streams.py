"""Standard output and error of the worker: marked with the job, and mended when a handler has closed them."""

from __future__ import annotations

import fcntl
import os
import sys
import threading

# ruff: noqa: TID252  (the worker loads this package under a private name)
from . import protocol

_NAMES = {1: "stdout", 2: "stderr"}


class Streams:
    """Keeps copies of both descriptors, so that a job that closes them costs no other job its output."""

    def __init__(self, nonce: str) -> None:
        self._marker = protocol.MARK + nonce.encode() + b" "
        self._job_id = ""
        self._writing = threading.Lock()
        self._copies = {one: fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, protocol.DESCRIPTOR_MIN) for one in _NAMES}

    def mark(self, job_id: str) -> None:
        """What follows belongs to that job; an empty id: to none."""
        with self._writing:
            self._job_id = job_id
            for descriptor, copy in self._copies.items():
                try:
                    os.write(descriptor, self._line(job_id))
                except OSError:
                    os.dup2(copy, descriptor)
                    os.write(descriptor, self._line(job_id))

    def say_of(self, job_id: str, descriptor: int, lines: bytes) -> None:
        """Whole lines of that job's, whoever else writes to the descriptor meanwhile."""
        with self._writing:
            left = memoryview(b"".join((self._line(job_id), lines, self._line(self._job_id))))
            while left:
                left = left[os.write(descriptor, left) :]

    def _line(self, job_id: str) -> bytes:
        return self._marker + job_id.encode() + b"\n"

    def flush(self) -> None:
        """Write out what Python holds back; a stream that user code has closed is opened again."""
        for descriptor, name in _NAMES.items():
            stream = getattr(sys, name)
            try:
                stream.flush()
            except ValueError:
                setattr(sys, name, open(descriptor, "w", 1, "utf-8", "backslashreplace", closefd=False))  # noqa: SIM115
            except (AttributeError, OSError):
                pass  # user code replaced it
