"""Where a model runs, what it holds there, and what it leaves behind."""

import gc

from generator.errors import NotLoadable


def chosen(wanted: str | None) -> str:
    """`cuda` or `cpu`.

    Args:
        wanted: `cuda`, `cpu`, or `auto` (also None): a GPU if there is one.

    Raises:
        NotLoadable: a GPU was asked for and there is none; or the word is another.
    """
    import torch

    wanted = wanted or "auto"
    if wanted not in ("auto", "cpu", "cuda"):
        raise NotLoadable(f"the device {wanted!r} is unknown", "valid are auto, cpu and cuda")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise NotLoadable("CUDA was asked for and torch sees no GPU", "use a machine with one, or say cpu or auto")
    return wanted if wanted != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def settle(device: str) -> None:
    """Wait until the device has done what it was given: a time or a picture before that is not the real one."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def clear(device: str) -> None:
    """Give memory that no tensor holds back to the device."""
    gc.collect()
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()


def memory(device: str) -> dict[str, object]:
    """Bytes: of this process (`process_rss`), of tensors (`allocated`), kept for tensors (`reserved`), still `free`.

    On the CPU the allocator is the process's own: `allocated` and `reserved` are then None.
    """
    import psutil

    rss = psutil.Process().memory_info().rss
    if device == "cuda":
        import torch

        free = torch.cuda.mem_get_info()[0]
        held = {"allocated": torch.cuda.memory_allocated(), "reserved": torch.cuda.memory_reserved(), "free": free}
    else:
        held = {"allocated": None, "reserved": None, "free": psutil.virtual_memory().available}
    return {"device": device, "process_rss": rss, **held}
