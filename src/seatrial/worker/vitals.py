"""What the process can say about itself: memory and device."""

from __future__ import annotations

import os
import sys
from typing import Any, Optional

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Vitals:
    """Keeps its file open: it is read after every job."""

    def __init__(self) -> None:
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def memory_bytes(self) -> int:
        """What is resident now."""
        return int(os.pread(self._statm, 128, 0).split()[1]) * _PAGE_BYTES


def cuda() -> Optional[Any]:  # noqa: UP045  (Python 3.9)
    """`torch.cuda`, if the user's code has it in use."""
    torch = sys.modules.get("torch")
    module = getattr(torch, "cuda", None)
    return module if module is not None and module.is_initialized() else None


def device() -> str:
    """Where the model is, as torch reports it; "cpu" without CUDA in use."""
    module = cuda()
    return f"cuda:{module.current_device()}" if module is not None else "cpu"
