"""What handlers tell while their jobs run: chunks of a stream, and how far they are.

At hand in memory only: nothing depends on it, since the result of a job that streams has every chunk.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from seatrial.domain.jobs import Job, JobState
from seatrial.domain.limits import STREAM_WAITING_BYTES_MAX, STREAMS_KEPT_MAX, STREAMS_WAITING_BYTES_MAX

Listener = Callable[[int, bytes], None]
_AT_WORK = frozenset({JobState.RUNNING, JobState.PUBLISHING})  # not one that is queued again


@dataclass(slots=True)
class _Stream:
    """Of one job. `told` counts the chunks of the attempt at hand, `fetched` those that its client has."""

    waiting: deque[bytes] = field(default_factory=deque)
    waiting_bytes: int = 0
    told: int = 0
    fetched: int = 0
    cut: bool = False  # some did not fit: from there on the result has them
    progress: bytes | None = None


class Streams:
    """By job. Chunks and progress are JSON."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, _Stream] = OrderedDict()
        self._waiting_bytes = 0  # of all
        self._hear_progress: Callable[[str, bytes], None] | None = None
        self._listeners: dict[str, set[Listener]] = {}

    def on_progress(self, hear: Callable[[str, bytes], None]) -> None:
        """Call it with a job's id whenever its handler says how far it is."""
        self._hear_progress = hear

    def listen(self, job_id: str, listener: Listener) -> Callable[[], None]:
        """Call it with the number of each further chunk, from 0, and the chunk; the answer stops that."""
        self._listeners.setdefault(job_id, set()).add(listener)

        def stop() -> None:
            listeners = self._listeners.get(job_id)
            if listeners is not None:
                listeners.discard(listener)
                if not listeners:
                    del self._listeners[job_id]

        return stop

    def begin(self, job_id: str) -> None:
        """An attempt begins. It tells its chunks from the first on; those that the client has are not told twice."""
        stream = self._of.get(job_id)
        if stream is not None:
            self._empty(stream)
            self._of[job_id] = _Stream(fetched=stream.fetched)

    def chunk(self, job_id: str, chunk: bytes) -> None:
        """The handler has yielded it."""
        stream = self._stream(job_id)
        stream.told += 1
        for listener in tuple(self._listeners.get(job_id, ())):
            listener(stream.told - 1, chunk)
        if stream.told <= stream.fetched or stream.cut:
            return
        if (
            stream.waiting_bytes + len(chunk) > STREAM_WAITING_BYTES_MAX
            or self._waiting_bytes + len(chunk) > STREAMS_WAITING_BYTES_MAX
        ):
            stream.cut = True
            return
        stream.waiting.append(chunk)
        stream.waiting_bytes += len(chunk)
        self._waiting_bytes += len(chunk)

    def progress(self, job_id: str, told: bytes) -> None:
        """The handler has said how far it is."""
        self._stream(job_id).progress = told
        if self._hear_progress is not None:
            self._hear_progress(job_id, told)

    def latest(self, job_id: str) -> bytes | None:
        """How far the job's handler said to be."""
        stream = self._of.get(job_id)
        return stream.progress if stream else None

    def progress_of(self, job: Job) -> Any:
        """The same as a value; None: it has said nothing, or is not at work now."""
        told = self.latest(job.id) if job.state in _AT_WORK else None
        return None if told is None else json.loads(told)

    def is_known(self, job_id: str) -> bool:
        """True if the job has told chunks that are at hand, or were until they were fetched."""
        stream = self._of.get(job_id)
        return stream is not None and (stream.told > 0 or stream.fetched > 0)

    def fetch(self, job_id: str) -> list[bytes]:
        """The chunks since the last fetch; each is fetched once."""
        stream = self._of.get(job_id)
        if stream is None:
            return []
        chunks = list(stream.waiting)
        self._empty(stream)
        stream.fetched += len(chunks)
        return chunks

    def fetch_rest(self, job_id: str, result: list[bytes]) -> list[bytes]:
        """The same once the job has succeeded: `result` are all its chunks, whatever was at hand."""
        stream = self._stream(job_id)
        chunks = result[stream.fetched :]
        self._empty(stream)
        stream.fetched, stream.told = len(result), max(stream.told, len(result))
        return chunks

    def _stream(self, job_id: str) -> _Stream:
        stream = self._of.setdefault(job_id, _Stream())
        self._of.move_to_end(job_id)
        if len(self._of) > STREAMS_KEPT_MAX:
            self._empty(self._of.popitem(last=False)[1])
        return stream

    def _empty(self, stream: _Stream) -> None:
        self._waiting_bytes -= stream.waiting_bytes
        stream.waiting.clear()
        stream.waiting_bytes = 0
