"""The pipelines behind the names: which weights each needs, and how it is loaded."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from generator.errors import NotLoadable
from generator.weights import checked, identity_of

os.environ["HF_HUB_OFFLINE"] = "1"  # before diffusers and transformers are imported: nothing is downloaded here

WEIGHTS = Path(__file__).parent / "small" / "weights"


@dataclass(frozen=True, slots=True)
class Backend:
    """A way to draw."""

    name: str
    steps: int  # unless a request says otherwise
    needed: tuple[str, ...]
    native: int | None = None  # pixels of a side that it draws, None: any
    multiple: int = 1  # that width and height must be of


BACKENDS = {
    "small": Backend(
        "small", 12, ("unet/config.json", "codec/config.json", "scheduler/scheduler_config.json"), native=128
    ),
    "sdxl": Backend("sdxl", 30, ("model_index.json", "unet/config.json", "vae/config.json"), multiple=8),
    "flux": Backend("flux", 28, ("model_index.json", "transformer/config.json", "vae/config.json"), multiple=16),
}


def named(name: str) -> Backend:
    """The backend of that name.

    Raises:
        NotLoadable: there is none.
    """
    if name not in BACKENDS:
        raise NotLoadable(f"the backend {name!r} is unknown", f"valid are {', '.join(BACKENDS)}")
    return BACKENDS[name]


def pipeline_of(backend: Backend, weights: str | Path | None, device: str) -> tuple[Any, str | None]:
    """The diffusers pipeline, loaded and on the device, and the identity of its weights.

    Raises:
        NotLoadable: weights are missing or damaged, or are another model's.
    """
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()  # of shards; a load here says nothing unless it fails
    tqdm.monitor_interval = 0  # else even a bar that is not shown starts a thread, and nothing ends it
    folder = checked(weights or (WEIGHTS if backend.name == "small" else None), backend.name, backend.needed)
    try:
        pipeline = LOADERS[backend.name](folder, device)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, NotLoadable):
            raise
        raise NotLoadable(
            f"{folder} cannot be loaded as {backend.name}: {error}", "give the folder of that model"
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device), identity_of(folder)


def _small(folder: Path, device: str):
    import torch
    from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel

    from generator.small import text
    from generator.small.codec import PatchCodec
    from generator.small.pipeline import SmallPipeline

    tokenizer, encoder = text.load()
    return SmallPipeline(
        unet=UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32, local_files_only=True),
        scheduler=DPMSolverMultistepScheduler.from_pretrained(folder / "scheduler", local_files_only=True),
        text_encoder=encoder,
        tokenizer=tokenizer,
        codec=PatchCodec.from_pretrained(folder / "codec", local_files_only=True),
    )


def _sdxl(folder: Path, device: str):
    import torch
    from diffusers import StableDiffusionXLPipeline

    dtype = torch.float16 if device == "cuda" else torch.float32
    return StableDiffusionXLPipeline.from_pretrained(folder, torch_dtype=dtype, **_from_folder(folder))


def _flux(folder: Path, device: str):
    import torch
    from diffusers import FluxPipeline

    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    return FluxPipeline.from_pretrained(folder, torch_dtype=dtype, **_from_folder(folder))


def _from_folder(folder: Path) -> dict[str, object]:
    """How diffusers reads a folder: nothing but `.safetensors`, of half precision where that is what it holds."""
    halves = any(folder.glob("*/*.fp16.safetensors"))
    return {"local_files_only": True, "use_safetensors": True, "variant": "fp16" if halves else None}


LOADERS = {"small": _small, "sdxl": _sdxl, "flux": _flux}
