"""`python -m seatrial ARGUMENTS`, forked from a process that has its imports behind it: two seconds less for a server.

What a test starts so is the command in a process of its own, as from a shell: with arguments, environment, folder,
streams, signals and an exit code of its own. Only the imports are shared. Tests of the start itself use `subprocess`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

ORDER_BYTES_MAX = 128 * 1024
STATUS_BYTES = 4


class Forked:
    """A process of our command line, with what tests use of `subprocess.Popen`."""

    def __init__(self, args: list[str], pid: int, status: int, stdout: IO[str] | None, stderr: IO[str] | None) -> None:
        self.args, self.pid, self.stdout, self.stderr = args, pid, stdout, stderr
        self.returncode: int | None = None
        self._status = status

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self.wait()

    def close(self) -> None:
        """Its streams, on this side."""
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int.from_bytes(os.read(self._status, STATUS_BYTES), sys.byteorder, signed=True)
            os.close(self._status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and its status is on the way: as Popen does
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """The rest of what it said, once it has ended."""
        with ThreadPoolExecutor(2) as readers:
            out, err = (readers.submit(_rest, stream) for stream in (self.stdout, self.stderr))
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        self.close()
        return out.result(), err.result()


def start(
    *arguments: object,
    stdout: int | None = subprocess.PIPE,
    stderr: int | None = subprocess.PIPE,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    own_session: bool = False,
    module: str = "seatrial",
) -> Forked:
    """Begin `seatrial ARGUMENTS`; a stream is a descriptor, PIPE, DEVNULL, or None: that of the tests."""
    args = [str(one) for one in arguments]
    how = {
        "module": module,
        "args": args,
        "cwd": str(cwd or Path.cwd()),
        "env": dict(os.environ if env is None else env),
        "own_session": own_session,
    }
    status, its_status = os.pipe()
    with open(os.devnull, "r+b") as nothing:  # noqa: PTH123 - for its descriptor
        out, its_out = _ends(1 if stdout is None else stdout, nothing.fileno())
        err, its_err = _ends(2 if stderr is None else stderr, nothing.fileno())
        order = json.dumps(how).encode()
        assert len(order) < ORDER_BYTES_MAX
        socket.send_fds(_origin(), [order], [nothing.fileno(), its_out, its_err, its_status])
    for end, given in ((its_out, stdout), (its_err, stderr), (its_status, subprocess.PIPE)):
        if given == subprocess.PIPE:
            os.close(end)
    pid = int.from_bytes(os.read(status, STATUS_BYTES), sys.byteorder)
    assert pid, "the process that others are forked from has ended; what it said is on the standard error"
    return Forked(args, pid, status, out, err)


def run(*arguments: object, timeout: float = 110, **how: Any) -> subprocess.CompletedProcess[str]:
    """`seatrial ARGUMENTS` from its start to its end."""
    process = start(*arguments, **how)
    out, err = process.communicate(timeout)
    return subprocess.CompletedProcess(process.args, process.wait(), out, err)


def _rest(stream: IO[str] | None) -> str:
    return "" if stream is None or stream.closed else stream.read()


def _ends(wanted: int, nothing: int) -> tuple[IO[str] | None, int]:
    """Ours of a stream, and theirs."""
    if wanted == subprocess.PIPE:
        ours, theirs = os.pipe()
        return open(ours), theirs  # noqa: PTH123 - a descriptor
    return None, nothing if wanted == subprocess.DEVNULL else wanted


# ---------------------------------------------------------------------- the process that others are forked from

_running: list[tuple[subprocess.Popen[bytes], socket.socket]] = []


def _origin() -> socket.socket:
    if not _running:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        plain = {"PATH": os.environ["PATH"]}  # what is imported sees no terminal and no service that runs the tests
        command = [sys.executable, __file__, str(theirs.fileno())]
        with theirs:
            process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=plain
            )
        _running.append((process, ours))
    return _running[0][1]


def end() -> None:
    """No more of them."""
    while _running:
        process, orders = _running.pop()
        orders.close()
        process.wait()


def _import_all() -> None:
    import gc
    from importlib import import_module

    from seatrial.cli.main import COMMANDS

    for name in (*(f"seatrial.cli.{file}" for file in COMMANDS.values()), "seatrial.wiring.server", "uvloop", "httpx"):
        import_module(name)
    gc.freeze()  # a collection would touch, and so copy, every page


def _become_one(orders: socket.socket) -> str:
    """Return in a process that is to be the command, with the name of its module."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        order, fds, _, _ = socket.recv_fds(orders, ORDER_BYTES_MAX, 4)
        if not order:
            os._exit(0)
        if os.fork() == 0:
            break
        for one in fds:
            os.close(one)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    orders.close()
    *streams, status = fds
    if pid := os.fork():
        _tell_the_end(pid, status, streams)
    os.close(status)
    how = json.loads(order)
    _dress(how, streams)
    return str(how["module"])


def _tell_the_end(pid: int, status: int, streams: list[int]) -> None:
    """The parent of the command: writes its number, and its exit code when it has ended."""
    for one in streams:
        os.close(one)
    with contextlib.suppress(BrokenPipeError):
        os.write(status, pid.to_bytes(STATUS_BYTES, sys.byteorder))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.write(status, code.to_bytes(STATUS_BYTES, sys.byteorder, signed=True))
    os._exit(0)


def _dress(how: dict[str, Any], streams: list[int]) -> None:
    for number, one in enumerate(streams):
        os.dup2(one, number)
        os.close(one)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if how["own_session"]:
        os.setsid()
    os.chdir(how["cwd"])
    os.environ.clear()
    os.environ.update(how["env"])
    Path("/proc/self/comm").write_text(f"seatrial {how['args'][0]}")  # for who looks at what runs
    sys.path[0] = how["cwd"]
    sys.argv = ["", *how["args"]]


if __name__ == "__main__":
    _import_all()
    chosen = _become_one(socket.socket(fileno=int(sys.argv[1])))
    import runpy

    runpy.run_module(chosen, run_name="__main__", alter_sys=True)
