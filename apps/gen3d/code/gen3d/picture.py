"""Pictures and masks as arrays, from bytes that a stranger sent."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gen3d.errors import BadRequest

PIXELS_MAX = 50_000_000


def read_picture(content: bytes) -> np.ndarray:
    """An upright picture, height x width x 3, uint8.

    Raises:
        BadRequest: `image_undecodable` or `image_too_large`.
    """
    picture = _opened(content, "image")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture.convert("RGBA"))
    elif picture.mode.startswith("I"):
        deep = np.asarray(picture).astype(np.float32)
        picture = Image.fromarray((deep / 257).clip(0, 255).astype(np.uint8))
    return np.asarray(picture.convert("RGB"))


def read_mask(content: bytes, size: tuple[int, int]) -> np.ndarray:
    """Which pixels are the object: height x width, bool.

    Args:
        content: a greyscale PNG; what is not zero is the object. An orientation in its own EXIF turns it.
        size: width and height of the upright picture, which the mask must have too.

    Raises:
        BadRequest: `mask_undecodable`, `mask_not_greyscale`, `mask_size_differs` or `mask_empty`.
    """
    mask = _opened(content, "mask")
    if mask.format != "PNG" or mask.mode not in ("1", "L", "I", "I;16"):
        kind = f"{mask.format} with mode {mask.mode}"
        raise BadRequest("mask_not_greyscale", f"The mask is a {kind}; a greyscale PNG is wanted.", "mask")
    if mask.size != size:
        sizes = f"{mask.width} x {mask.height} pixels, the upright image {size[0]} x {size[1]}"
        raise BadRequest("mask_size_differs", f"The mask is {sizes}; both must have the same size.", "mask")
    object_pixels = np.asarray(mask) != 0
    if not object_pixels.any():
        raise BadRequest("mask_empty", "Every pixel of the mask is zero; the object's pixels must not be.", "mask")
    return object_pixels


def _opened(content: bytes, field: str) -> Image.Image:
    """The decoded picture, upright; decoding, and not only reading the head, is what finds a damaged one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content))
            kind = picture.format
            if picture.width * picture.height > PIXELS_MAX:
                said = f"The {field} has {picture.width} x {picture.height} pixels; at most {PIXELS_MAX:,} are taken."
                raise BadRequest(f"{field}_too_large", said, field)
            picture.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadRequest(f"{field}_too_large", f"At most {PIXELS_MAX:,} pixels are taken.", field) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, BadRequest):
            raise
        said = f"The {field} cannot be decoded ({error}); a whole PNG, JPEG or WebP is wanted."
        raise BadRequest(f"{field}_undecodable", said, field) from None
    picture = ImageOps.exif_transpose(picture)
    picture.format = kind
    return picture
