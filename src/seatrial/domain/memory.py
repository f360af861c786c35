"""What a job did to the memory of its worker's process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """In bytes. `peak_bytes` were resident at once while it ran; `growth_bytes` more (or less) after it than before.

    `device_peak_bytes` is what torch had allocated on the device at once; None without CUDA in use.
    """

    peak_bytes: int
    growth_bytes: int
    device_peak_bytes: int | None = None
