"""Memory of the device: enough before the model is loaded, told and freed after every job."""

from pathlib import Path

import psutil

from headshot.errors import NotReady

GIB = 2**30
# What loading and one picture take, by backend and device: weights in half precision on a GPU, whole on a CPU.
NEEDED_BYTES = {
    ("small", "cpu"): GIB,
    ("small", "cuda"): GIB,
    ("sdxl", "cpu"): 20 * GIB,
    ("sdxl", "cuda"): 10 * GIB,
    ("flux", "cpu"): 72 * GIB,
    ("flux", "cuda"): 36 * GIB,
}
# A container may have less than its machine: control groups, version 2 and 1.
_CONTAINER = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def free_bytes(device: str) -> int:
    """What may still be had: on the GPU, or of the machine's memory and of what the container may have."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    return min([psutil.virtual_memory().available, *_left_in_container()])


def check(backend: str, device: str, needed_bytes: int | None) -> int:
    """What is free, if it is enough for the backend.

    Raises:
        NotReady: it is not.
    """
    needed = needed_bytes or NEEDED_BYTES[backend, device]
    free = free_bytes(device)
    if free < needed:
        what = f"Insufficient memory: {shown(free)} free on {device}, {shown(needed)} required by backend {backend}"
        remedy = "Use a larger machine or a smaller backend, or set HEADSHOT_MEMORY_BYTES_MIN if you know better."
        raise NotReady(what, remedy)
    return free


def shown(count: float) -> str:
    """In GiB, for people."""
    return f"{count / GIB:.2f} GiB"


def _left_in_container() -> list[int]:
    left = []
    for limit, used in _CONTAINER:
        try:
            left.append(max(0, int(limit.read_text()) - int(used.read_text())))
        except (OSError, ValueError):  # no such version, or no limit
            continue
    return left
