"""A picture as a person sees it: upright (EXIF), opaque (on white paper), 8-bit RGB."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from floorplan.errors import InputError

SIDE_PIXELS_MIN = 32
PIXELS_MAX = 50_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")


def load(path: Path) -> np.ndarray:
    """Return the picture as an array (height, width, 3) of uint8, RGB.

    The file's content decides its format, never its name. Raises `InputError` with `error_type`
    image_missing, image_undecodable, image_too_small or image_too_large.
    """
    try:
        with warnings.catch_warnings():
            # Pillow's own guess of a "bomb" is replaced by our limit below; EXIF damage is harmless.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as image:
                _check_size(*image.size)
                return _opaque(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise InputError("image_missing", f"There is no file at {path.name!r}.") from None
    except UnidentifiedImageError:
        raise InputError("image_undecodable", _undecodable("its format was not recognised")) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("image_undecodable", _undecodable(str(error))) from error


def _check_size(width: int, height: int) -> None:
    if min(width, height) < SIDE_PIXELS_MIN:
        raise InputError(
            "image_too_small",
            f"The picture is {width} x {height} pixels; both sides must be at least "
            f"{SIDE_PIXELS_MIN} pixels (1,000 or more on the long side works best).",
        )
    if width * height > PIXELS_MAX:
        raise InputError(
            "image_too_large",
            f"The picture has {width * height:,} pixels; at most {PIXELS_MAX:,} are accepted.",
        )


def _opaque(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_to_8_bit(np.asarray(image)))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return np.array(image.convert("RGB"))


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Scans of 16 or 32 bits per pixel: stretch what is there over 0..255."""
    low, high = float(values.min()), float(values.max())
    return ((values - low) * (255.0 / max(high - low, 1e-9))).astype(np.uint8)


def _undecodable(reason: str) -> str:
    return f"The file is not a readable picture ({reason}). Send a PNG, JPEG, WebP, TIFF or BMP file."
