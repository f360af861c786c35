"""Looks at what the processes of workers take: memory, and their number."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from seatrial.adapters.processes.descendants import processes
from seatrial.domain.limits import WORKERS_WATCHED_EVERY_MS

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Taken:
    """What a worker and its descendants take together."""

    processes: int = 0
    memory_bytes: int = 0


class Watched(Protocol):
    """A worker that may have to be looked at."""

    @property
    def pid(self) -> int:
        """The process."""
        ...

    @property
    def memory_bytes_max(self) -> int | None:
        """What it may take."""
        ...

    def is_to_be_watched(self) -> bool:
        """True while it can do harm."""
        ...

    def judge(self, taken: Taken) -> None:
        """This is what it takes."""
        ...


class Watchman:
    """Looks at all workers of a pool at once, while any is to be watched; one look goes through /proc once."""

    def __init__(self) -> None:
        self._workers: set[Watched] = set()
        self._walking: asyncio.Task[None] | None = None

    def watch(self, worker: Watched) -> None:
        """Until `forget`."""
        self._workers.add(worker)
        if self._walking is None or self._walking.done():
            self._walking = asyncio.get_running_loop().create_task(self._walk())

    def forget(self, worker: Watched) -> None:
        """It is gone."""
        self._workers.discard(worker)
        if not self._workers and self._walking is not None:
            self._walking.cancel()

    async def _walk(self) -> None:
        while self._workers:
            await asyncio.sleep(WORKERS_WATCHED_EVERY_MS / 1_000)
            watched = [one for one in self._workers if one.is_to_be_watched()]
            if watched:
                limits = {one.pid: one.memory_bytes_max for one in watched}
                taken = await asyncio.to_thread(look, limits)
                for one in watched:
                    one.judge(taken[one.pid])


def look(limits: Mapping[int, int | None]) -> dict[int, Taken]:
    """What each of the workers takes, by process id.

    Pages that processes share after a fork count once. That is known of the sum of their proportional set sizes,
    which takes the kernel long to find out, so it is asked only where the plain sum is beyond the worker's limit.
    """
    families: dict[int, list[int]] = {pid: [] for pid in limits}
    of: dict[int, int] = {}
    for one in sorted(processes(), key=lambda process: (process.started, process.pid)):
        worker = next((pid for pid in (one.pid, one.session, of.get(one.parent, 0)) if pid in families), None)
        if worker is not None and not one.is_dead:
            of[one.pid] = worker
            families[worker].append(one.pid)
    return {pid: Taken(len(members), _memory(members, limits[pid])) for pid, members in families.items()}


def _memory(members: Iterable[int], limit: int | None) -> int:
    if limit is None:
        return 0
    resident = sum(map(_resident, members))
    return resident if resident <= limit else sum(map(_proportional, members))


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123  read often
            return int(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0  # it has just ended


def _proportional(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123
            return next(int(line.split()[1]) * _KIB for line in file if line.startswith(b"Pss:"))
    except (OSError, StopIteration):
        return _resident(pid)
