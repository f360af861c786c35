"""What a handler tells while it works: chunks of a stream, and how far it is."""

# ruff: noqa: TID252  (the worker loads this package under a private name)
from __future__ import annotations

from typing import Any, Callable, Sequence  # noqa: UP035  (Python 3.9)

from . import protocol

Tell = Callable[[protocol.Header, Sequence[bytes]], Any]


class Tells:
    """Of the work at hand; what is told of another one is too late, and goes nowhere. Payloads are JSON."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._token = ""
        self._job_id = ""

    def begin(self, token: str, job_id: str) -> None:
        """The handler turns to this piece of work."""
        self._token, self._job_id = token, job_id

    def end(self) -> None:
        """It has returned from it."""
        self._token = self._job_id = ""

    def chunk(self, data: bytes) -> None:
        """The next chunk of the answer."""
        self._send(self._token, protocol.CHUNK, data)

    def progress(self, job_id: str, data: bytes) -> None:
        """How far that job is, from whatever thread."""
        token = self._token
        if job_id == self._job_id:
            self._send(token, protocol.PROGRESS, data)

    def _send(self, token: str, what: str, data: bytes) -> None:
        if token and len(data) <= protocol.SEGMENT_BYTES_MAX:
            told: protocol.Told = {"type": protocol.TOLD, "token": token, "what": what}
            self._tell(told, [data])
