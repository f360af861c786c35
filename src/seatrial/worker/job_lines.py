"""What Python code prints while several jobs run: each line to the job whose task prints it."""

# ruff: noqa: TID252, UP006, UP035  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import contextvars
import io
import sys
import threading
from typing import Any, BinaryIO, Dict, cast

from . import protocol
from .streams import Streams

JOB: contextvars.ContextVar[str] = contextvars.ContextVar("seatrial_job", default="")
"""The job of the asyncio task at hand; tasks, callbacks and `asyncio.to_thread` inherit it. Empty: nobody can tell."""
REST_BYTES_MAX = 64 * protocol.KIB  # of a line without an end


def tell_apart(streams: Streams) -> None:
    """From now on sys.stdout and sys.stderr know the job of what is printed. For as long as JOB is unset: as before."""
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        now = getattr(sys, name)
        lines = JobLines(now.buffer, descriptor, streams)
        told = io.TextIOWrapper(cast("BinaryIO", lines), now.encoding, now.errors, write_through=True)
        told.reconfigure(line_buffering=now.line_buffering)
        setattr(sys, name, told)


class JobLines(io.BufferedIOBase):
    """Under a text stream: lines of a job whole and with its mark, all else as it comes to the file beneath."""

    def __init__(self, file: BinaryIO, descriptor: int, streams: Streams) -> None:
        self._file = file
        self._descriptor = descriptor
        self._streams = streams
        self._lock = threading.Lock()
        self._rests: Dict[str, bytes] = {}  # job -> a line that has no end yet

    def write(self, data: Any) -> int:
        """Bytes, as many as were given."""
        job_id = JOB.get()
        if not job_id:
            return self._file.write(data)
        with self._lock:
            lines, end, rest = (self._rests.pop(job_id, b"") + bytes(data)).rpartition(b"\n")
            if len(rest) > REST_BYTES_MAX:
                lines, end, rest = lines + end + rest, b"\n", b""
            if rest:
                self._rests[job_id] = rest
        if end:
            self._streams.say_of(job_id, self._descriptor, lines + end)
        return len(data)

    def flush(self) -> None:
        """Of what has no job; a job's lines are written when they end."""
        self._file.flush()

    def end(self, job_id: str) -> None:
        """The job is over: a last line without an end is one."""
        with self._lock:
            rest = self._rests.pop(job_id, b"")
        if rest:
            self._streams.say_of(job_id, self._descriptor, rest + b"\n")

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """Of the file beneath: what is written there by others has no job."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """Never: a pipe."""
        return False


def end(job_id: str) -> None:
    """The job prints no more."""
    for stream in (sys.stdout, sys.stderr):
        lines = getattr(stream, "buffer", None)
        if isinstance(lines, JobLines):
            lines.end(job_id)
