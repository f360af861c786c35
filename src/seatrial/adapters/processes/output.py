"""What a worker process writes to stdout and stderr, line by line, each with its job."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable

from seatrial.adapters.processes.redaction import Redactor
from seatrial.domain.limits import LOAD_LOG_BYTES_MAX, LOG_LINE_BYTES_MAX, LOG_LINES_PER_SECOND_MAX
from seatrial.domain.logs import LogLine
from seatrial.ports.clock import Clock
from seatrial.ports.log_store import LogStore
from seatrial.worker import protocol

PIPE_BYTES = 65_536  # what a pipe holds: one read takes what is there
LAST_LINES = 40  # kept for the failure document of a death


class Output:
    """Both streams of one worker. It always reads on, so that the worker never blocks on a full pipe."""

    def __init__(self, logs: LogStore, clock: Clock, redactor: Redactor, group: str, stream: str, nonce: str) -> None:
        self._logs = logs
        self._clock = clock
        self._redactor = redactor
        self._group = group
        self._stream = stream
        self._mark = protocol.MARK + nonce.encode() + b" "
        self._rate = _Rate(LOG_LINES_PER_SECOND_MAX)
        self._last_lines: deque[tuple[str | None, str]] = deque(maxlen=LAST_LINES)  # with the job
        self._pipes: list[_Pipe] = []
        self._start: _Start | None = _Start()

    def attach(self, stdout: int, stderr: int) -> None:
        """Start to read the descriptors, which become this object's own."""
        limit = LOG_LINE_BYTES_MAX + self._redactor.secret_bytes_max
        self._pipes = [
            _Pipe(stdout, self._mark, limit, lambda lines, job_id: self._append(lines, job_id, keep=False)),
            _Pipe(stderr, self._mark, limit, lambda lines, job_id: self._append(lines, job_id, keep=True)),
        ]

    def drain(self) -> None:
        """Take what is in the pipes now."""
        for pipe in self._pipes:
            pipe.read()

    def close(self) -> None:
        """Take the rest, and let go of the pipes."""
        for pipe in self._pipes:
            pipe.close()
        self._append_dropped(self._clock.now_ms(), None)

    def say(self, text: str) -> None:
        """A line of the server's own, about the worker."""
        self._logs.append([LogLine(self._group, self._stream, self._clock.now_ms(), f"[seatrial] {text}")])

    def say_of(self, job_id: str, text: str) -> None:
        """A line of a job's, as it is."""
        self._logs.append([LogLine(self._group, self._stream, self._clock.now_ms(), text, job_id)])

    def log_of_the_start(self) -> str:
        """All lines until now, as far as they are kept; asked once, after which no more are."""
        self.drain()
        start, self._start = self._start, None
        return start.text() if start is not None else ""

    def last_lines(self) -> list[str]:
        """The last lines of stderr, redacted."""
        return [text for _, text in self._last_lines]

    def last_lines_of(self, job_id: str) -> list[str]:
        """Those among them that the job wrote: nobody else's."""
        return [text for job, text in self._last_lines if job == job_id]

    def _append(self, lines: list[bytes], job_id: str | None, *, keep: bool) -> None:
        now_ms = self._clock.now_ms()
        if self._start is not None:
            self._start.add(map(self._text, lines))
        allowed = self._rate.allowance(len(lines), self._clock.monotonic_ms())
        if allowed:
            self._append_dropped(now_ms, job_id)
            texts = [self._text(raw) for raw in lines[:allowed]]
            self._logs.append([LogLine(self._group, self._stream, now_ms, text, job_id) for text in texts])
            if keep:
                self._last_lines.extend((job_id, text) for text in texts)
        self._rate.dropped += len(lines) - allowed

    def _append_dropped(self, now_ms: int, job_id: str | None) -> None:
        count, self._rate.dropped = self._rate.dropped, 0
        if count:
            text = f"[seatrial] {count} lines were dropped here: more than {LOG_LINES_PER_SECOND_MAX} in a second"
            self._logs.append([LogLine(self._group, self._stream, now_ms, text, job_id)])

    def _text(self, raw: bytes) -> str:
        shown = raw.rstrip(b"\r").rpartition(b"\r")[2]  # of a progress bar, its last state
        text = self._redactor.text(shown.decode("utf-8", "replace"))
        encoded = text.encode()
        if len(encoded) <= LOG_LINE_BYTES_MAX:
            return text
        return encoded[:LOG_LINE_BYTES_MAX].decode("utf-8", "ignore") + "…"


class _Start:
    """The last lines of a worker's start, up to so many bytes: also those that come too fast for the log."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._left = LOAD_LOG_BYTES_MAX

    def add(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._lines.append(line)
            self._left -= len(line.encode()) + 1
        while self._left < 0:
            self._left += len(self._lines.popleft().encode()) + 1

    def text(self) -> str:
        return "\n".join(self._lines)


class _Rate:
    """So many lines in each second; `dropped` counts the others."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = -1
        self._left = 0
        self.dropped = 0

    def allowance(self, wanted: int, monotonic_ms: int) -> int:
        """How many of the wanted lines may pass now."""
        second = monotonic_ms // 1_000
        if second != self._second:
            self._second, self._left = second, self._per_second
        allowed = min(wanted, self._left)
        self._left -= allowed
        return allowed


class _Pipe:
    """One stream: splits lines, and knows from the marks which job they belong to."""

    def __init__(
        self,
        descriptor: int,
        mark: bytes,
        line_bytes_max: int,
        on_lines: Callable[[list[bytes], str | None], None],
    ) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._mark = mark
        self._line_bytes_max = line_bytes_max
        self._on_lines = on_lines
        self._job_id: str | None = None
        self._rest = b""
        self._skipping = False  # the rest of a line that was too long
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self.read)

    def read(self) -> None:
        """Take what is there, up to `PIPE_BYTES`."""
        if self._descriptor < 0:
            return
        try:
            data = os.read(self._descriptor, PIPE_BYTES)
        except BlockingIOError:
            return
        if data:
            self._take(data)
        else:
            self._let_go()

    def close(self) -> None:
        """Take the rest, a last line without an end too."""
        self.read()
        if self._rest:
            self._take(b"\n")
        self._let_go()

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _take(self, data: bytes) -> None:
        text = self._rest + data
        *lines, rest = text.split(b"\n")
        if lines and self._skipping:
            lines[0] = lines[0][lines[0].find(self._mark) :] if self._mark in lines[0] else b""
            lines = lines if lines[0] else lines[1:]
            self._skipping = False
        if self._mark in text:
            self._give_by_job(lines)
        elif lines:
            self._on_lines(lines, self._job_id)
        self._rest = self._shortened(rest)

    def _give_by_job(self, lines: list[bytes]) -> None:
        of_this_job: list[bytes] = []
        for line in lines:
            text, mark, job_id = line.partition(self._mark)
            if text or not mark:
                of_this_job.append(text)
            if mark:
                if of_this_job:
                    self._on_lines(of_this_job, self._job_id)
                    of_this_job = []
                self._job_id = job_id.decode("ascii", "replace") or None
        if of_this_job:
            self._on_lines(of_this_job, self._job_id)

    def _shortened(self, rest: bytes) -> bytes:
        """A line that grows too long is given as far as it is kept; what follows of it is skipped."""
        if len(rest) <= self._line_bytes_max or self._mark in rest:
            return rest
        if not self._skipping:
            self._on_lines([rest], self._job_id)
            self._skipping = True
        return rest[-len(self._mark) :]  # a mark may be arriving
