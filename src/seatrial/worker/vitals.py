"""What the process can say about itself: memory and device."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, Optional

from .slack import Reading, Slack

# ruff: noqa: TID252, UP045  (run by file, in Python 3.9)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_FORGET_PEAK = b"5"  # proc(5), /proc/pid/clear_refs: the peak resident set size counts from now on
_PEAK = b"VmHWM:"
MOMENT_MS = 2


class Vitals:
    """Memory, measured around every job. Its files stay open."""

    def __init__(self) -> None:
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        self._clear_refs: Optional[int] = None
        try:
            self._clear_refs = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            pass  # not everywhere; the peak is then that of the process so far
        self._memory = 0
        self._slack = Slack(self.memory_bytes)
        self.others_bytes: Optional[Callable[[], int]] = None  # of a model that other processes hold: what they have
        self.ask_driver: Optional[Callable[[], int]] = None  # for what is held on the device, where torch cannot say

    def begin(self) -> None:
        """A job begins: peaks count from here."""
        if self._clear_refs is not None:
            os.write(self._clear_refs, _FORGET_PEAK)
        module = cuda()
        if module is not None:
            module.reset_peak_memory_stats()

    def measured(self, took_ms: float) -> dict[str, int]:
        """`memory` now and `memory_peak` since `begin`: bytes resident. `memory_kept`: `memory`, where that is what the
        handler keeps. `device_peak`: bytes allocated by torch, or what the driver says now.

        The peak of a job that took but a moment is the larger one of before and after: the kernel takes longer to
        tell than such a job may take.
        """
        before, now = self._memory, self.memory_bytes()
        peak = max(before, now) if took_ms < MOMENT_MS else max(now, self._peak_bytes())
        reading = self.reading_after(took_ms)
        self._memory = reading.memory
        measured = {"memory": reading.memory, "memory_peak": peak}
        if reading.settled:
            measured["memory_kept"] = reading.memory
        module = cuda()
        if module is not None:
            try:
                measured["device_peak"] = int(module.max_memory_allocated())
            except RuntimeError as error:  # after a device fault every call may raise
                print(f"torch.cuda.max_memory_allocated: {error}", file=sys.stderr)
        elif self.ask_driver is not None:
            measured["device_peak"] = self.ask_driver()
        return measured

    def reading_after(self, took_ms: float) -> Reading:
        """What is resident after a job that took so long, without what only the allocator or the collector holds."""
        return self._slack.reading_after(took_ms)

    def peak_bytes(self) -> int:
        """The most that was resident since `begin`, or since the process started."""
        return max(self.memory_bytes(), self._peak_bytes())

    def _peak_bytes(self) -> int:
        status = os.pread(self._status, 4_096, 0)
        return int(status[status.index(_PEAK) + len(_PEAK) :].split(None, 1)[0]) * 1_024

    def memory_bytes(self) -> int:
        """What is resident now."""
        own = int(os.pread(self._statm, 128, 0).split()[1]) * _PAGE_BYTES
        return own if self.others_bytes is None else own + self.others_bytes()


def cuda() -> Optional[Any]:
    """`torch.cuda`, if the user's code has it in use."""
    torch = sys.modules.get("torch")
    module = getattr(torch, "cuda", None)
    return module if module is not None and module.is_initialized() else None


def has_children() -> bool:
    """True if some process is this one's child, be it dead and not awaited."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def synchronise() -> None:
    """Wait for what still runs on the device: what it writes is read next, and its errors belong to this job."""
    module = cuda()
    if module is not None:
        module.synchronize()
