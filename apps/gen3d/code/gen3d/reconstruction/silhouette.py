"""The classical maker: the silhouette, inflated. No weights; the same picture gives the same object."""

import numpy as np

from gen3d.files import figures, glb, ply
from gen3d.inflation import inflate
from gen3d.reconstruction import Object3D


class Inflation:
    """A relief of both sides, closed, with the picture as its texture."""

    name = "inflation"
    device = "cpu"

    def reconstruct(self, picture: np.ndarray, mask: np.ndarray, quality: str) -> Object3D:
        """See `Reconstructor`."""
        solid = inflate(picture, mask, quality)
        return Object3D(glb(solid), ply(solid, quality), figures(solid, quality))
