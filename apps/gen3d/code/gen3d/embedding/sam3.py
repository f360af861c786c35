"""SAM 3's image encoder by transformers, from a folder with its weights (`facebook/sam3`).

Neither transformers' processor nor its public name for the model loads without torchvision, whose wheel does not load
beside a torch built for the CPU alone. Of the model only prompts by boxes use it. So the model comes from its module,
and the picture is prepared here, by Pillow, as the folder's `processor_config.json` or `preprocessor_config.json` says.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen3d.errors import NotLoadable
from gen3d.weights import checked, whole

VARIABLE = "GEN3D_SAM3_WEIGHTS"
NEEDED = ("config.json", "model.safetensors")
PREPARATIONS = ("processor_config.json", "preprocessor_config.json")  # newer and older releases of transformers
PART = "vision_encoder"


class Sam3:
    """The last features of the vision backbone: tokens x channels, float32."""

    name = "sam3"

    def __init__(self, device: str, weights: str) -> None:
        folder = checked(weights, VARIABLE, NEEDED)
        try:
            from transformers.models.sam3.modeling_sam3 import Sam3Model
        except ImportError as error:
            said = f"the encoder sam3 needs transformers as code/requirements.txt pins it ({error})"
            raise NotLoadable(f"{said}; install that") from None
        self.device = device
        self._preparation = Preparation(folder)
        self._model = whole(Sam3Model, folder, VARIABLE, PART).vision_encoder.eval().to(device)

    def encode(self, picture: np.ndarray) -> np.ndarray:
        """See `Encoder`."""
        import torch

        pixels = torch.from_numpy(self._preparation.of(picture)).to(self.device)
        with torch.inference_mode():
            features = self._model(pixels).last_hidden_state[0]
        return features.float().cpu().numpy()


class Preparation:
    """What a picture goes through before the network: the folder's own size, mean and deviation."""

    def __init__(self, folder: Path) -> None:
        path = next((folder / name for name in PREPARATIONS if (folder / name).is_file()), None)
        if path is None:
            said = f"{folder} has neither {' nor '.join(PREPARATIONS)}"
            raise NotLoadable(f"{said}; put it there, or point {VARIABLE} elsewhere")
        try:
            told: dict[str, Any] = json.loads(path.read_text())
            told = told.get("image_processor", told)
            self._size = (int(told["size"]["width"]), int(told["size"]["height"]))
            self._scale = float(told.get("rescale_factor", 1 / 255))
            self._mean = np.array(told["image_mean"], dtype=np.float32).reshape(3)
            self._deviation = np.array(told["image_std"], dtype=np.float32).reshape(3)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            said = f"{path} is not SAM 3's ({type(error).__name__}: {error})"
            raise NotLoadable(f"{said}; fetch it again from where the weights came from") from None

    def of(self, picture: np.ndarray) -> np.ndarray:
        """1 x 3 x height x width, float32, of height x width x 3, uint8."""
        resized = Image.fromarray(picture).resize(self._size, Image.Resampling.BILINEAR)
        pixels = (np.asarray(resized, dtype=np.float32) * self._scale - self._mean) / self._deviation
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
