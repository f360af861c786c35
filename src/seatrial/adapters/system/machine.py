"""ports.machine.Machine of the machine that the server runs on."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_CPU_WORDS = ("model name", "CPU implementer", "CPU part", "uarch", "Hardware")  # x86, Arm, RISC-V
_NVIDIA_SECONDS_MAX = 20
_CUDA_LIBRARY = "libcuda.so.1"


class ThisMachine:
    """Asks the system anew each time."""

    def platform(self) -> Mapping[str, str]:
        """See the port. The kernel's release is no part of it: it changes with every update of the system."""
        name, version = platform.libc_ver()
        libc = " ".join(one for one in (name, version) if one) or "unknown"
        return {"system": platform.system(), "machine": platform.machine(), "libc": libc}

    def device(self, name: str) -> Mapping[str, str]:
        """See the port."""
        kind = name.partition(":")[0]
        if kind == "cuda":
            return {"device": kind, **_nvidia()}
        return {"device": kind, "cpu": _cpu()}


def _cpu() -> str:
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    said: dict[str, str] = {}
    for line in lines:
        word, _, value = line.partition(":")
        said.setdefault(word.strip(), value.strip())
    return " ".join(said[word] for word in _CPU_WORDS if said.get(word)) or platform.processor() or "unknown"


def _nvidia() -> Mapping[str, str]:
    """The cards in their order, the driver, and the newest CUDA that the driver knows."""
    return {"cards": _asked("name,memory.total"), "driver": _asked("driver_version"), "cuda": _cuda()}


def _asked(what: str) -> str:
    command = shutil.which("nvidia-smi")
    if command is None:
        return "unknown: no nvidia-smi"
    try:
        answer = subprocess.run(
            [command, f"--query-gpu={what}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_NVIDIA_SECONDS_MAX,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"unknown: {type(error).__name__}"
    return "; ".join(line.strip() for line in answer.stdout.splitlines() if line.strip())


def _cuda() -> str:
    """cuDriverGetVersion of the CUDA Driver API: 12020 is 12.2. It needs no initialisation and touches no device."""
    version = ctypes.c_int(0)
    try:
        failed = ctypes.CDLL(_CUDA_LIBRARY).cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return "unknown: no CUDA driver"
    return "unknown: it does not say" if failed else f"{version.value // 1000}.{version.value % 1000 // 10}"
