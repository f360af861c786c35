"""What is said of a worker process that went away."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from seatrial.domain.errors import WORKER_CRASHED
from seatrial.domain.failures import Failure

_MEMORY_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


def out_of_memory_kills() -> int:
    """How often the kernel has killed for lack of memory, on this machine or in this container."""
    count = 0
    for counter in _MEMORY_COUNTERS:
        try:
            lines = counter.read_text().splitlines()
        except OSError:
            continue
        count += sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return count


def death(exit_code: int, last_lines: Sequence[str], *, by_us: bool, memory_kills: int) -> Failure:
    """The failure for an exit as `subprocess` codes it; `memory_kills` during the life of the process."""
    details: dict[str, object] = {"stderr": list(last_lines)}
    if exit_code >= 0:
        details["exit_code"] = exit_code
        return Failure(WORKER_CRASHED, f"the worker process left with exit code {exit_code}", details)
    name = _signal_name(-exit_code)
    details["signal"] = name
    hint = ""
    if by_us:
        hint = ", by the server"
    elif name == "SIGKILL":
        hint = ": the system ran out of memory" if memory_kills else ": probably out of memory"
    return Failure(WORKER_CRASHED, f"the worker process was killed by {name}{hint}", details)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
