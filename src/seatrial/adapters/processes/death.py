"""What is said of a worker process that went away."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path

from seatrial.adapters.processes.launch import WORKER_FOLDER
from seatrial.domain.errors import LINK_LOST, OUT_OF_MEMORY, WORKER_CRASHED
from seatrial.domain.failures import Failure
from seatrial.worker import protocol
from seatrial.worker.jail import FAILED_EXIT_CODE

LINK_REMEDY = (
    "Let the handler close no file descriptors but its own: os.closerange() and its like take the server's too."
)
_NOT_THE_USERS = re.compile(rf'\s*File "({re.escape(str(WORKER_FOLDER))}/|<frozen |[^"]*/importlib/__init__\.py")')
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


def death(exit_code: int, last_lines: Sequence[str], *, by_us: bool, memory_kills: int, endpoint_name: str) -> Failure:
    """The failure for an exit as `subprocess` codes it; `memory_kills` during the life of the process."""
    details: dict[str, object] = {"stderr": list(last_lines)}
    logs = f"`seatrial logs {endpoint_name}`"
    if exit_code == protocol.LINK_LOST_EXIT_CODE:
        details["remedy"] = LINK_REMEDY
        return Failure(LINK_LOST, "the handler closed the worker's connection to the server", details)
    if exit_code == protocol.SERVER_LOST_EXIT_CODE:
        details["remedy"] = f"Look in {logs} for why the package's server breaks off its answers, and mend it."
        return Failure(WORKER_CRASHED, "the package's server left its worker without an answer", details)
    if exit_code >= 0:
        details["exit_code"] = exit_code
        details["remedy"] = f"The process ended with exit code {exit_code}; {_exit_advice(exit_code, logs)}"
        return Failure(WORKER_CRASHED, f"the worker process left with exit code {exit_code}", details)
    name = _signal_name(-exit_code)
    details["signal"] = name
    hint, advice = "", f"look in {logs} for the native code that failed, and change that library's release."
    if by_us:
        hint, advice = ", by the server", "the server stopped it: run the job again."
    elif name == "SIGKILL":
        hint = ": the system ran out of memory" if memory_kills else ": probably out of memory"
        advice = "give it more memory, or load a smaller model, fewer workers, smaller inputs."
    elif name == "SIGTERM":
        advice = "something outside of the server stopped it: find out what, and run the job again."
    details["remedy"] = f"The process ended with {name}; {advice}"
    error_type = OUT_OF_MEMORY if name == "SIGKILL" and memory_kills and not by_us else WORKER_CRASHED
    return Failure(error_type, f"the worker process was killed by {name}{hint}", details)


def _exit_advice(exit_code: int, logs: str) -> str:
    if exit_code == FAILED_EXIT_CODE:
        return f"if it never began, deploy again, so that its environment is made anew; {logs} says what it lacked."
    return f"see {logs}, and take out of the handler what makes the process exit."


def as_traceback(last_lines: Sequence[str]) -> str:
    """The lines as a reader of tracebacks wants them: without frames of ours and of the import system."""
    kept = [line for line in last_lines if line.strip() and not _NOT_THE_USERS.match(line)]
    return "\n".join(kept)[-protocol.TRACEBACK_CHARS_MAX :]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
