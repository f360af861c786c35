"""A server of the package's own as a child process of the worker: started, waited for, watched and ended.

Its life is the worker's: it is killed when the worker dies, and the worker ends as it ended when it dies by itself.
"""

# ruff: noqa: TID252, UP006, UP035, UP045  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import atexit
import ctypes
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType
from typing import Any, List, Mapping, Optional

from . import protocol, session
from .failure import HandlerUnusable
from .ports import Ports

HOST = "127.0.0.1"
PING_SECONDS_MAX = 2  # SageMaker's: a ping that takes longer has failed
PING_AGAIN_SECONDS = (0.02, 0.5)  # until the first that is answered well: soon at first, then less often
HEALTH_EVERY_SECONDS = 10  # afterwards, while there is no request
HEALTH_FAILURES_MAX = 3  # in a row: then the server is given up
TOLD_BEFORE_SECONDS = 0.5  # a start that takes too long is told so long before the worker is killed for it
END_GRACE_SECONDS = 4  # less than a worker gets
EXIT_SEEN_SECONDS = 0.3  # between the end of a connection and that of its process
PR_SET_PDEATHSIG = 1
FAILED_TO_RUN = 127

_libc = ctypes.CDLL(None, use_errno=True)


class NotStarted(HandlerUnusable):
    """The server cannot be run, or ended before it was ready."""


class NotReady(HandlerUnusable):
    """The server did not answer a ping in time."""

    error_type = "load_timeout"
    remedy = (
        "Raise load_timeout_seconds in [worker], load less, or mend the server: it has to listen on $PORT, and to "
        "answer GET /ping with 200 within 2 s."
    )


class Serving:
    """The child process. Made in the worker's main thread: the child is killed when that ends."""

    def __init__(self, command: List[str], folder: str, variables: Mapping[str, str], ports: Ports) -> None:
        """Start it.

        Raises:
            NotStarted: the command cannot be run.
        """
        self._ports = ports
        self._command = command
        self._closing = False
        self._ready = False
        self._requests = 0
        self._lock = threading.Lock()
        try:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                preexec_fn=_become_child(os.getpid()),  # noqa: PLW1509  no other thread yet
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise NotStarted(f"the start command {command[0]!r} cannot be run: {error}") from None
        signal.signal(signal.SIGTERM, self._on_sigterm)
        atexit.register(self.end)
        self._watcher = threading.Thread(target=self._watch, name="seatrial-server", daemon=True)
        self._watcher.start()

    @property
    def port(self) -> int:
        """Where it has to listen."""
        return self._ports.port

    def wait_ready(self, timeout_seconds: float) -> None:
        """Until a ping is answered with 200; each change of what it is answered is printed.

        Raises:
            NotStarted: it ended before that.
            NotReady: the time is over.
        """
        until = session.started_at() + timeout_seconds - TOLD_BEFORE_SECONDS
        said, pause_seconds = None, PING_AGAIN_SECONDS[0]
        while True:
            left_seconds = until - time.clock_gettime(time.CLOCK_BOOTTIME)
            answer = self.ping(min(max(left_seconds, PING_AGAIN_SECONDS[0]), PING_SECONDS_MAX))
            code = self._process.poll()
            if code is not None:
                self._watcher.join()
                raise NotStarted(f"the server {_ended(code)} before it answered GET /ping")
            if answer is None:
                self._ready = True
                return
            if answer != said:
                print(f"seatrial: GET /ping on port {self.port}: {answer}", file=sys.stderr, flush=True)
                said = answer
            if time.clock_gettime(time.CLOCK_BOOTTIME) >= until:
                where = self._where_it_listens()
                raise NotReady(
                    f"the server did not answer GET /ping on port {self.port} with 200 within {timeout_seconds:g} s "
                    f"({answer}){where}"
                )
            time.sleep(max(0.0, min(pause_seconds, left_seconds)))
            pause_seconds = min(pause_seconds * 2, PING_AGAIN_SECONDS[1])

    def ping(self, timeout_seconds: float = PING_SECONDS_MAX) -> Optional[str]:
        """None if it is well; else in words what it answered."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=timeout_seconds)
        try:
            connection.request("GET", "/ping")
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"no answer within {PING_SECONDS_MAX} s" if isinstance(error, TimeoutError) else _in_words(error)
        finally:
            connection.close()
        return None if status == 200 else f"status {status}"

    def request_begins(self) -> None:
        """It is busy from now on, and not asked how it is."""
        with self._lock:
            self._requests += 1

    def request_ended(self) -> None:
        """The request is answered."""
        with self._lock:
            self._requests -= 1

    def fail(self, what: str) -> None:
        """The server left a request without an answer: the worker ends, as one that died. Never returns."""
        if threading.current_thread() is not self._watcher:
            self._watcher.join(EXIT_SEEN_SECONDS)  # if the server ended, the worker ends as it did
        print(f"seatrial: the server is given up: {what}", file=sys.stderr, flush=True)
        os._exit(protocol.SERVER_LOST_EXIT_CODE)

    def end(self) -> None:
        """SIGTERM, and after a while SIGKILL, to its process group."""
        self._closing = True
        until = time.monotonic() + END_GRACE_SECONDS
        self._signal(signal.SIGTERM)
        while self._process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        self._signal(signal.SIGKILL)

    def _on_sigterm(self, number: int, frame: Optional[FrameType]) -> None:
        """The worker is to end: the server first, for as long as the worker is given."""
        self._closing = True
        self._signal(signal.SIGTERM)
        while self._process.poll() is None:
            time.sleep(0.02)
        _die_by(number)

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                pass  # it has just ended

    def _watch(self) -> None:
        """Until it ends: by itself, it takes the worker with it."""
        failures = 0
        while (code := self._exit_code_within(HEALTH_EVERY_SECONDS)) is None:
            failures = failures + 1 if self._is_unwell() else 0
            if failures >= HEALTH_FAILURES_MAX:
                self.fail(f"it did not answer GET /ping with 200, {failures} times in a row")
        if self._closing or not self._ready:
            return
        print(f"seatrial: the server {_ended(code)}", file=sys.stderr, flush=True)
        if code < 0:
            _die_by(-code)
        os._exit(code)

    def _exit_code_within(self, seconds: float) -> Optional[int]:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _is_unwell(self) -> bool:
        if self._closing or not self._ready or self._requests:
            return False
        answer = self.ping()
        if answer is None or self._requests:
            return False
        print(f"seatrial: GET /ping: {answer}", file=sys.stderr, flush=True)
        return True

    def _where_it_listens(self) -> str:
        places = [
            f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address, port in session.listening()
        ]
        return f"; it listens on {', '.join(places) or 'no port'}"


def _become_child(worker: int) -> Any:
    """What the new process does before it runs the command: a group of its own, and the worker's death is its own."""

    def become() -> None:
        os.setpgid(0, 0)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != worker:
            os._exit(FAILED_TO_RUN)

    return become


def _die_by(number: int) -> None:
    """End as a signal would have it, from whatever thread."""
    _libc.signal(number, None)  # SIG_DFL, which Python's own sets in the main thread only
    os.kill(os.getpid(), number)
    time.sleep(1)
    os._exit(128 + number)


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _in_words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
