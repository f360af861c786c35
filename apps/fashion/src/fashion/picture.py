"""A picture as it is looked at: upright, on white, and which of its pixels are there at all."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

OPAQUE_MIN = 128  # of 255: from here on a pixel is the item's


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        image: RGB; what was transparent is white.
        opaque: height x width, bool; None where nothing was transparent.
    """

    image: Image.Image
    opaque: np.ndarray | None = None

    @classmethod
    def of(cls, opened: Image.Image) -> "Picture":
        """What Pillow has opened, turned as its EXIF says; its colours are those of what is not transparent.

        Raises:
            OSError: it cannot be decoded.
        """
        upright = ImageOps.exif_transpose(opened)
        if not upright.has_transparency_data:
            return cls(upright.convert("RGB"))
        seen = upright.convert("RGBA")
        on_white = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
        return cls(on_white.convert("RGB"), np.asarray(seen.getchannel("A")) >= OPAQUE_MIN)
