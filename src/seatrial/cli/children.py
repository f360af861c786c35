"""What a command starts for itself, a server or a script: process groups of their own, which never outlive it."""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any

from seatrial.cli.env import variables
from seatrial.cli.failing import fail
from seatrial.config import load_credentials, read_running

READY_SECONDS_MAX = 60.0
STOP_GRACE_SECONDS = 2
STOP_SECONDS_MAX = STOP_GRACE_SECONDS + 15.0
PR_SET_PDEATHSIG = 1  # prctl(2)
LOG_FILE = "server.log"
LOG_TAIL_BYTES = 2_000


@contextmanager
def running_server(data: Path) -> Iterator[dict[str, str]]:
    """A server on a free port; the variables that point clients at it. It is gone when this ends, however it ends."""
    data.mkdir(parents=True, exist_ok=True)
    process: subprocess.Popen[str] | None = None
    try:
        with (data / LOG_FILE).open("ab") as log, _held_signals():
            process = _start_server(data, log)
        _until_ready(process, data)
        running = read_running(data)
        yield variables(running, load_credentials(data, running.region), None)
    finally:
        if process is not None:
            with _held_signals():
                _end(process)


@contextmanager
def running_script(script: Path, options: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The script by this Python, with the variables of `seatrial env`. Nothing of it is left when this ends."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    process: subprocess.Popen[str] | None = None
    try:
        with _held_signals():
            process = _start([sys.executable, str(script), *options], {"PATH": path, **environment})
        yield process
    finally:
        if process is not None:
            with _held_signals():
                _end(process)


def _start_server(data: Path, log: IO[bytes]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "seatrial", "serve", "--data", str(data), "--host", "127.0.0.1", "--port", "0"]
    command += ["--stop-grace-seconds", str(STOP_GRACE_SECONDS), "--log-format", "json"]
    return _start(command, {}, stdout=subprocess.PIPE, stderr=log)


def _start(command: list[str], variables: Mapping[str, str], **streams: Any) -> subprocess.Popen[str]:
    """A session of its own, with nobody's own settings but those named."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SEATRIAL_", "AWS_"))}
    return subprocess.Popen(
        command,
        **streams,
        text=True,
        env=plain | dict(variables),
        start_new_session=True,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call, and no thread runs yet
    )


def _end_with_parent() -> None:
    """In the child: the kernel sends SIGTERM when the command is gone, whatever ended it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _until_ready(process: subprocess.Popen[str], data: Path) -> None:
    """The server prints one line when it is ready; its output is over when it ended instead."""
    lines: queue.Queue[str] = queue.Queue()
    if process.stdout is None:
        raise RuntimeError("the server was started without a pipe")
    threading.Thread(target=lambda out: lines.put(out.readline()), args=(process.stdout,), daemon=True).start()
    try:
        line = lines.get(timeout=READY_SECONDS_MAX)
    except queue.Empty:
        line = ""
    if not line:
        tail = (data / LOG_FILE).read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        fail(f"the server did not become ready; its log ends with:\n{tail}")


def _end(process: subprocess.Popen[str]) -> None:
    """SIGTERM, then a bounded time to stop gracefully, then the whole group is killed."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        pass  # it is killed below
    _kill_group(process.pid)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _kill_group(group: int) -> None:
    """Whatever is left of the server's group; there is none when it stopped by itself."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


@contextmanager
def _held_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until this is over: a server is never started and forgotten, or half ended."""
    came: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt
