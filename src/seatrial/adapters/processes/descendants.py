"""Every process that a worker brought forth, also those that left its group and lost their parent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

WORKER_VARIABLE = "SEATRIAL_WORKER"
SERVER_VARIABLE = "SEATRIAL_SERVER_ID"  # the data folder that the server owns; SEATRIAL_DATA is a setting of its own
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
AT_ONCE = 100
ROUND_SECONDS = 0.5  # at most so long between two looks, while something is slow to die


@dataclass(frozen=True, slots=True)
class Process:
    """A process as the kernel shows it; `started` with `pid` names it for good."""

    pid: int
    started: int  # clock ticks since boot
    parent: int
    group: int
    session: int
    is_dead: bool  # it ended, and waits for its parent to take note
    name: str

    def may_be_from(self, instant_ms: int) -> bool:
        """False only if it was there before that time, in milliseconds since boot."""
        return (self.started + 1) * 1_000 > instant_ms * TICKS_PER_SECOND


def processes() -> Iterator[Process]:
    """All processes of this machine that can be seen."""
    for name in os.listdir("/proc"):  # noqa: PTH208  read for every worker that ends
        if name.isdecimal():
            process = look_at(int(name))
            if process is not None:
                yield process


def look_at(pid: int) -> Process | None:
    """That process; None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  read for every process
            text = file.read()
    except OSError:
        return None
    named, _, rest = text.rpartition(b")")
    fields = rest.split()
    name = named.partition(b"(")[2].decode("utf-8", "replace")
    return Process(
        pid, int(fields[19]), int(fields[1]), int(fields[2]), int(fields[3]), fields[0] in (b"Z", b"X"), name
    )


def environment_value(pid: int, variable: str) -> str | None:
    """What the variable was when the process was started."""
    start = f"{variable}=".encode()
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            entries = file.read().split(b"\0")
    except OSError:
        return None
    return next((os.fsdecode(entry[len(start) :]) for entry in entries if entry.startswith(start)), None)


def mount_namespace(pid: int) -> str | None:
    """A name of the process's view of the file system."""
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")  # noqa: PTH115
    except OSError:
        return None


class Family:
    """A worker process and its descendants.

    They are found by their parents, by the session that the worker leads, by the marker in their environment and,
    where the worker has a mount namespace of its own, by that: each catches what the others miss.
    """

    def __init__(self, pid: int, worker_id: str) -> None:
        self._pid = pid
        self._worker_id = worker_id
        self._namespace: str | None = None
        self._namespace_held = -1
        process = look_at(pid)
        self._seen = {(pid, process.started)} if process else set()

    def remember_namespace(self) -> None:
        """Note the worker's mount namespace, once it has entered it.

        It is held until `release`: the kernel gives the name of one that is gone to the next, of anybody's worker.
        """
        self.release()
        try:
            self._namespace_held = os.open(f"/proc/{self._pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        namespace = os.readlink(f"/proc/self/fd/{self._namespace_held}")  # noqa: PTH115
        if namespace != mount_namespace(os.getpid()):
            self._namespace = namespace

    def release(self) -> None:
        """Let go of the namespace; from here on nobody is known by it."""
        self._namespace = None
        if self._namespace_held >= 0:
            os.close(self._namespace_held)
            self._namespace_held = -1

    def members(self) -> list[Process]:
        """Those that are there; of the worker itself only while it lives, its end is taken note of elsewhere."""
        everyone = sorted(processes(), key=lambda one: (one.started, one.pid))
        number_is_reused = any(one.pid == self._pid and (one.pid, one.started) not in self._seen for one in everyone)
        session = None if number_is_reused else self._pid
        found: dict[int, Process] = {}
        for one in everyone:
            if one.parent in found or self._is_member(one, session):
                found[one.pid] = one
                self._seen.add((one.pid, one.started))
        return [one for one in found.values() if one.pid != self._pid or not one.is_dead]

    async def kill(self) -> None:
        """SIGKILL to all of them, until none is left. Waits as long as the kernel needs."""
        await end_all(self.members, leave=self._pid)

    def _is_member(self, one: Process, session: int | None) -> bool:
        if one.pid == os.getpid():
            return False
        return (
            (one.pid, one.started) in self._seen
            or one.session == session
            or (self._namespace is not None and mount_namespace(one.pid) == self._namespace)
            or environment_value(one.pid, WORKER_VARIABLE) == self._worker_id
        )


async def end_all(find: Callable[[], Iterable[Process]], leave: int = 0) -> int:
    """SIGKILL to what is found, until nothing alive is found; how many different ones there were.

    Whole process groups first: in those no process can fork away from the signal. All members of a group are of one
    family, because a worker begins a session of its own.

    Whatever falls to us as the nearest subreaper is reaped, except for the process `leave`, which someone awaits.
    """
    ended: set[tuple[int, int]] = set()
    while True:
        found = await asyncio.to_thread(lambda: list(find()))
        alive = [one for one in found if not one.is_dead]
        _end_groups(alive)
        for start in range(0, len(alive), AT_ONCE):  # each costs a descriptor
            await asyncio.gather(*(_end(one) for one in alive[start : start + AT_ONCE]))
        for one in found:
            if one.pid != leave:
                _reap(one)
        if not alive:
            return len(ended)
        ended.update((one.pid, one.started) for one in alive)


def _end_groups(alive: Sequence[Process]) -> None:
    for group in {one.group for one in alive} - {os.getpgrp(), 0}:
        if any(_is_in_it(one) for one in alive if one.group == group):  # else its number may be reused by now
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)


def _is_in_it(one: Process) -> bool:
    now = look_at(one.pid)
    return now is not None and (now.started, now.group) == (one.started, one.group)


async def _end(process: Process) -> None:
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        now = look_at(process.pid)
        if now is None or now.started != process.started:  # the number belongs to another one by now
            return
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        await wait_readable(descriptor, ROUND_SECONDS)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)


async def wait_readable(descriptor: int, timeout_seconds: float | None) -> bool:
    """Wait until the descriptor (of a process: until it ended) is readable; False at the timeout."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await asyncio.wait_for(readable.wait(), timeout_seconds)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
    return True


def _reap(process: Process) -> None:
    now = look_at(process.pid)
    if now is None or now.started != process.started or not now.is_dead or now.parent != os.getpid():
        return
    try:
        os.waitpid(process.pid, os.WNOHANG)
    except ChildProcessError:
        pass  # someone else took note
