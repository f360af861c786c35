# ruff: noqa: B008, T201 - as Cog models are written
"""A Cog model that turns a picture by the number of degrees asked for."""

import tempfile

from cog import BasePredictor, Input, Path
from PIL import Image


class Predictor(BasePredictor):
    def setup(self) -> None:
        self.filter = Image.Resampling.BICUBIC
        print("model loaded: a bicubic filter", flush=True)

    def predict(
        self,
        image: Path = Input(description="The picture"),
        degrees: float = Input(description="How far", ge=-180, le=180),
    ) -> Path:
        print(f"turning by {degrees}", flush=True)
        turned = Image.open(image).convert("RGB").rotate(degrees, resample=self.filter)
        target = Path(tempfile.mkdtemp()) / "turned.png"
        turned.save(target)
        return Path(target)
