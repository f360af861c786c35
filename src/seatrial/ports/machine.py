"""What a trial's result depends on beside the package: the machine and the devices in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Machine(Protocol):
    """Plain words, the same from call to call until the machine changes. Blocking: ask in a thread."""

    def platform(self) -> Mapping[str, str]:
        """Operating system, architecture and C library."""
        ...

    def device(self, name: str) -> Mapping[str, str]:
        """The device behind a name such as `cpu` or `cuda:0`; for CUDA its cards, driver and CUDA version."""
        ...
