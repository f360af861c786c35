"""What a handler tells while it works: chunks of a stream, and how far it is."""

# ruff: noqa: TID252  (the worker loads this package under a private name)
from __future__ import annotations

from typing import Any, Callable, Dict, Sequence  # noqa: UP035  (Python 3.9)

from . import protocol

# ruff: noqa: UP006  (Python 3.9)
Tell = Callable[[protocol.Header, Sequence[bytes]], Any]


class Tells:
    """Of the work at hand; what is told of another one is too late, and goes nowhere. Payloads are JSON."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._tokens: Dict[str, str] = {}  # job -> token of what is at hand

    def begin(self, token: str, job_id: str) -> None:
        """The handler turns to this piece of work."""
        self._tokens[job_id] = token

    def end(self, job_id: str) -> None:
        """It has returned from it."""
        self._tokens.pop(job_id, None)

    def chunk(self, job_id: str, data: bytes) -> None:
        """The next chunk of that job's answer."""
        self._send(job_id, protocol.CHUNK, data)

    def progress(self, job_id: str, data: bytes) -> None:
        """How far that job is, from whatever thread."""
        self._send(job_id, protocol.PROGRESS, data)

    def _send(self, job_id: str, what: str, data: bytes) -> None:
        token = self._tokens.get(job_id)
        if token is not None and len(data) <= protocol.SEGMENT_BYTES_MAX:
            told: protocol.Told = {"type": protocol.TOLD, "token": token, "what": what}
            self._tell(told, [data])
