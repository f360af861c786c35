"""SAM 3's image encoder by transformers, from a folder with its weights (`facebook/sam3`)."""

import numpy as np

from gen3d.errors import NotLoadable
from gen3d.weights import checked

VARIABLE = "GEN3D_SAM3_WEIGHTS"
NEEDED = ("config.json", "preprocessor_config.json")


class Sam3:
    """The last features of the vision backbone: tokens x channels, float32."""

    name = "sam3"

    def __init__(self, device: str, weights: str) -> None:
        folder = checked(weights, VARIABLE, NEEDED)
        try:
            from transformers import Sam3ImageProcessorFast, Sam3Model
        except ImportError as error:
            raise NotLoadable(
                f"the encoder sam3 needs transformers 5 with its vision parts ({error}); install it"
            ) from None
        self.device = device
        self._processor = Sam3ImageProcessorFast.from_pretrained(folder, local_files_only=True)
        self._model = Sam3Model.from_pretrained(folder, local_files_only=True).eval().to(device)

    def encode(self, picture: np.ndarray) -> np.ndarray:
        """See `Encoder`."""
        import torch

        pixels = self._processor(images=picture, return_tensors="pt")["pixel_values"].to(self.device)
        with torch.inference_mode():
            features = self._model.get_vision_features(pixel_values=pixels).last_hidden_state[0]
        return features.float().cpu().numpy()
