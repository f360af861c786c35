"""Text to pictures, with adapters: one calling code for a small model that runs anywhere and for SDXL and FLUX.

import generator
model = generator.load()
model.generate("a red house in the mountains at sunset", seed=7).image.save("house.png")
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from generator.errors import BadAdapter, NotLoadable
from generator.words import vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from generator.model import Generator, Picture

__all__ = ["BACKENDS", "BadAdapter", "Generator", "NotLoadable", "Picture", "load", "train_adapter", "vocabulary"]

BACKENDS = ("small", "sdxl", "flux")


def load(backend: str = "small", weights: str | Path | None = None, device: str | None = None) -> Generator:
    """A generator, ready to draw.

    Args:
        backend: `small` (its weights come with this package), `sdxl` or `flux` (diffusers pipelines).
        weights: the folder with the weights, as `save_pretrained` of diffusers lays it out; needed by all but `small`.
        device: `cpu`, `cuda`, or `auto` (also None): a GPU if there is one.

    Raises:
        NotLoadable: the backend or the device is not to be had, or the weights are missing or damaged. Its `remedy`
            says what to do. Nothing else is loaded in its place.
    """
    from generator.model import loaded

    return loaded(backend, weights, device)


def train_adapter(
    model: Generator,
    pictures: list[Image.Image],
    subject: str,
    *,
    steps: int = 400,
    seed: int = 0,
    rank: int = 16,
    checkpoint: Path | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> bytes:
    """Teach a new subject to a LoRA adapter. See `generator.adapter_training.train_adapter`."""
    from generator.adapter_training import train_adapter as train

    return train(model, pictures, subject, steps=steps, seed=seed, rank=rank, checkpoint=checkpoint, progress=progress)


def __getattr__(name: str) -> object:
    """`Generator` and `Picture` are imported when they are asked for: torch takes its time."""
    if name in ("Generator", "Picture"):
        import generator.model

        return getattr(generator.model, name)
    raise AttributeError(f"module 'generator' has no attribute {name!r}")
