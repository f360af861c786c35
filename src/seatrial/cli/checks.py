"""What `seatrial doctor` looks at: one function per check, each with a remedy."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

GIB = 1024**3
DISK_FREE_WARN_BYTES = 10 * GIB
DISK_FREE_FAIL_BYTES = 1 * GIB
MEMORY_WARN_BYTES = 2 * GIB
FLUSHES = 50
FLUSHES_PER_SECOND_WARN = 200
OPEN_FILES_WARN = 4_096
CLOCK_EARLIEST_S = 1_767_225_600  # 2026-01-01: an earlier clock was never set
COMMAND_SECONDS_MAX = 10


class Level(StrEnum):
    """How a check went."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    level: Level
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is to be checked: where data would lie, and where a server would listen."""

    data: Path
    host: str
    port: int

    @property
    def existing_folder(self) -> Path:
        """The data folder, or the closest folder above it that is there."""
        return next(path for path in (self.data.absolute(), *self.data.absolute().parents) if path.is_dir())


def check_python(machine: Machine) -> Check:
    """The server's own interpreter, with venv."""
    message = f"Python {'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}"
    if find_spec("venv") is None:
        return Check("python", Level.FAIL, f"{message}, without venv", "install it (python3-venv on Debian)")
    return Check("python", Level.OK, message)


def check_sqlite(machine: Machine) -> Check:
    """RETURNING and UPSERT came with 3.35."""
    if sqlite3.sqlite_version_info < (3, 35):
        return Check("sqlite", Level.FAIL, f"SQLite {sqlite3.sqlite_version}", "use SQLite 3.35 or newer")
    return Check("sqlite", Level.OK, f"SQLite {sqlite3.sqlite_version}")


def check_uv(machine: Machine) -> Check:
    """uv builds the environments of packages."""
    remedy = "pip install uv, in the environment of seatrial"
    try:
        from uv import find_uv_bin

        version = _output([find_uv_bin(), "--version"])
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        return Check("uv", Level.FAIL, f"uv does not run: {error}", remedy)
    return Check("uv", Level.OK, version.strip())


def check_fixed_paths(machine: Machine) -> Check:
    """Handlers that name /opt/ml/model find it only in a private mount namespace."""
    remedy = "allow unprivileged user namespaces, or let handlers take their folder from SM_MODEL_DIR"
    unshare = shutil.which("unshare")
    if unshare is None:
        return Check("fixed paths", Level.WARN, "the command `unshare` is not there to try namespaces with", remedy)
    privileged = os.geteuid() == 0
    command = [unshare, "--mount", "true"] if privileged else [unshare, "--user", "--map-root-user", "--mount", "true"]
    try:
        _output(command)
    except (OSError, subprocess.SubprocessError):
        return Check("fixed paths", Level.WARN, "no private mount namespaces: /opt/ml/model is not there", remedy)
    return Check("fixed paths", Level.OK, "private mount namespaces work: /opt/ml/model and /tmp are each worker's own")


def check_disk(machine: Machine) -> Check:
    """Room for packages, environments, weights and results."""
    free = shutil.disk_usage(machine.existing_folder).free
    message = f"{free / GIB:.1f} GiB free for {machine.data}"
    level = Level.FAIL if free < DISK_FREE_FAIL_BYTES else Level.WARN if free < DISK_FREE_WARN_BYTES else Level.OK
    return Check("disk", level, message, "" if level is Level.OK else "free some, or choose another --data")


def check_flush(machine: Machine) -> Check:
    """Every accepted job waits for a flush, shared with others."""
    folder = machine.existing_folder
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            began = time.perf_counter()
            for _ in range(FLUSHES):
                file.write(b"\0" * 4096)
                file.flush()
                os.fdatasync(file.fileno())
            per_second = FLUSHES / (time.perf_counter() - began)
    except OSError as error:
        return Check("flush", Level.FAIL, f"{folder} cannot be written: {error}", "choose another --data")
    message = f"{per_second:,.0f} flushes of 4 KiB per second"
    if per_second < FLUSHES_PER_SECOND_WARN:
        return Check("flush", Level.WARN, message, "a local SSD accepts jobs faster than this disk")
    return Check("flush", Level.OK, message)


def check_clock(machine: Machine) -> Check:
    """AWS's signatures are refused when clocks differ by more than 15 minutes."""
    now = time.time()
    message = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if now < CLOCK_EARLIEST_S:
        return Check("clock", Level.FAIL, message, "set the clock: signatures of other machines will not hold")
    return Check("clock", Level.OK, message)


def check_port(machine: Machine) -> Check:
    """Whether a server could listen."""
    family = socket.AF_INET6 if ":" in machine.host else socket.AF_INET
    where = f"{machine.host}:{machine.port}"
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((machine.host, machine.port))
        except OSError as error:
            message = f"{where} is not free: {error.strerror}"
            return Check("port", Level.WARN, message, "a server may run there already; or choose another --port")
    return Check("port", Level.OK, f"{where} is free")


def check_gpu(machine: Machine) -> Check:
    """NVIDIA's driver answers, if there is one."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return Check("gpu", Level.OK, "no NVIDIA driver: models run on the CPU")
    try:
        cards = _output([command, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]).strip()
    except (OSError, subprocess.SubprocessError) as error:
        return Check("gpu", Level.WARN, f"nvidia-smi fails: {error}", "repair the driver; models cannot use the GPU")
    return Check("gpu", Level.OK, "; ".join(cards.splitlines()))


def check_open_files(machine: Machine) -> Check:
    """Connections, workers' pipes and blobs each take a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    message = f"{soft} open files allowed (at most {hard})"
    if soft < OPEN_FILES_WARN:
        return Check("open files", Level.WARN, message, f"ulimit -n {OPEN_FILES_WARN} before `seatrial serve`")
    return Check("open files", Level.OK, message)


def check_memory(machine: Machine) -> Check:
    """Every worker holds its model in memory."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError as error:
        return Check("memory", Level.WARN, f"unknown: {error}", "Seatrial runs on Linux")
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    message = f"{available / GIB:.1f} GiB available"
    if available < MEMORY_WARN_BYTES:
        return Check("memory", Level.WARN, message, "end other programs, or use fewer workers")
    return Check("memory", Level.OK, message)


CHECKS: tuple[Callable[[Machine], Check], ...] = (
    check_python,
    check_sqlite,
    check_uv,
    check_fixed_paths,
    check_disk,
    check_flush,
    check_clock,
    check_port,
    check_gpu,
    check_open_files,
    check_memory,
)


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, check=True)
    return done.stdout
