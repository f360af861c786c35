"""Where a model runs, and what it leaves behind there."""

import gc

from gen3d.errors import NotLoadable


def chosen(wanted: str) -> str:
    """`cuda` or `cpu`.

    Args:
        wanted: `cuda`, `cpu`, or `auto`: a GPU if there is one.

    Raises:
        NotLoadable: a GPU was asked for and there is none; or the word is another.
    """
    import torch

    if wanted not in ("auto", "cpu", "cuda"):
        raise NotLoadable(f"GEN3D_DEVICE is {wanted!r}; valid are auto, cpu and cuda")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise NotLoadable("GEN3D_DEVICE is cuda and torch sees no GPU; use a machine with one, or say cpu or auto")
    return wanted if wanted != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def settle(device: str) -> None:
    """Wait until the device has done what it was given: a time or an output before that is not the real one."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def clear(device: str) -> None:
    """Give memory that no tensor holds back to the device."""
    gc.collect()
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()
