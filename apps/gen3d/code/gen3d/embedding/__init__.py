"""Encoders of pictures, each with the name that is in its outputs."""

from typing import Protocol

import numpy as np

from gen3d.errors import NotLoadable

NAMES = ("efficientnet-lite0", "sam3")


class Encoder(Protocol):
    """Makes embeddings."""

    name: str
    device: str

    def encode(self, picture: np.ndarray) -> np.ndarray:
        """The embedding of a picture (height x width x 3, uint8), float32."""


def load(name: str, device: str, weights: str) -> Encoder:
    """The encoder of that name, loaded.

    Raises:
        NotLoadable: the name is another, or its library or weights are not there.
    """
    if name == "efficientnet-lite0":
        from gen3d.embedding.efficientnet import EfficientNetLite0

        return EfficientNetLite0(device)
    if name == "sam3":
        from gen3d.embedding.sam3 import Sam3

        return Sam3(device, weights)
    raise NotLoadable(f"GEN3D_ENCODER is {name!r}; valid are {', '.join(NAMES)}")
