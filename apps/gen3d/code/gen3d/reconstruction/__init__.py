"""Makers of 3-D objects, each with the name that is in its outputs."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gen3d.errors import NotLoadable

NAMES = ("inflation", "sam3d-objects")


@dataclass(frozen=True)
class Object3D:
    """A textured mesh as GLB, its cloud of points as PLY, and its figures."""

    mesh: bytes
    points: bytes
    figures: dict[str, Any]


class Reconstructor(Protocol):
    """Makes 3-D objects."""

    name: str
    device: str

    def reconstruct(self, picture: np.ndarray, mask: np.ndarray, quality: str) -> Object3D:
        """The object of a picture.

        Args:
            picture: height x width x 3, uint8.
            mask: height x width, bool: the object's pixels.
            quality: `fast`, `balanced` or `high`.

        Raises:
            BadRequest: the mask's object is too thin.
        """


def load(name: str, device: str, weights: str) -> Reconstructor:
    """The maker of that name, loaded.

    Raises:
        NotLoadable: the name is another, or its library, device or weights are not there.
    """
    if name == "inflation":
        from gen3d.reconstruction.silhouette import Inflation

        return Inflation()
    if name == "sam3d-objects":
        from gen3d.reconstruction.sam3d import Sam3DObjects

        return Sam3DObjects(device, weights)
    raise NotLoadable(f"GEN3D_RECONSTRUCTOR is {name!r}; valid are {', '.join(NAMES)}")
