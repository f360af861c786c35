"""Memory that a process holds and nobody uses: what the C library's allocator keeps, and garbage in cycles."""

from __future__ import annotations

import ctypes
import gc
import threading
import time
from typing import Callable, NamedTuple, Optional

# ruff: noqa: UP045  (Python 3.9)
GROWN_BYTES_MIN = 16 * 1024 * 1024  # since it was last given back; less is not worth it
GROWN_BYTES_ALWAYS = 256 * 1024 * 1024  # more is worth it at any cost
WORK_PER_COST = 20  # at most a twentieth of the working time is spent on each way of giving back


class Reading(NamedTuple):
    """Resident bytes; and whether all slack had been given back, so that they are what the handler keeps."""

    memory: int
    settled: bool


class Slack:
    """Gives memory back when the process has grown: first what the allocator keeps, then what is garbage."""

    def __init__(self, memory_bytes: Callable[[], int]) -> None:
        self._memory_bytes = memory_bytes
        self._floor_bytes: Optional[int] = None  # what the process kept when that was last known
        self._trim = _Chore(_trim)
        self._collect = _Chore(_collect_and_trim)
        self._one = threading.Lock()

    def reading_after(self, took_ms: float) -> Reading:
        """What is resident after a job that took so long, slack given back where it is due."""
        memory = self._memory_bytes()
        if not self._one.acquire(blocking=False):
            return Reading(memory, False)
        try:
            return self._reading(memory, took_ms)
        finally:
            self._one.release()

    def _reading(self, memory: int, took_ms: float) -> Reading:
        if self._floor_bytes is None:
            self._floor_bytes = memory
        enough = self._floor_bytes + GROWN_BYTES_MIN
        trims, collects = self._trim.is_due_after(took_ms), self._collect.is_due_after(took_ms)
        if memory >= enough and trims:
            self._trim.do()
            memory = self._memory_bytes()
        if memory < enough or not (collects or memory >= self._floor_bytes + GROWN_BYTES_ALWAYS):
            return Reading(memory, False)
        self._collect.do()
        self._floor_bytes = self._memory_bytes()
        return Reading(self._floor_bytes, True)


class _Chore:
    """Something that takes time, and is paid for by work."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do
        self._cost_ms = 0.0
        self._worked_ms = 0.0

    def is_due_after(self, took_ms: float) -> bool:
        self._worked_ms += took_ms
        return self._worked_ms >= WORK_PER_COST * self._cost_ms

    def do(self) -> None:
        began = time.perf_counter()
        self._do()
        self._cost_ms = (time.perf_counter() - began) * 1_000
        self._worked_ms = 0.0


def _trim() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)


def _collect_and_trim() -> None:
    gc.collect()
    _trim()
