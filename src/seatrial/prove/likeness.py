"""Are two pictures the same to the eye? Devices may round differently from run to run. Needs Pillow."""

from __future__ import annotations

import io

MEAN_DIFFERENCE_MAX = 1.0  # of 255, over all pixels and bands
PEAK_SHARE_MAX = 0.001  # of pixels that may differ by more than PEAK_DIFFERENCE
PEAK_DIFFERENCE = 16


def alike(one: bytes, other: bytes) -> bool:
    """Whether both are pictures of one size and mode that differ by no more than rounding. Blocking."""
    try:
        from PIL import Image, ImageChops, ImageStat
    except ModuleNotFoundError:
        return False
    try:
        with Image.open(io.BytesIO(one)) as left, Image.open(io.BytesIO(other)) as right:
            if (left.size, left.mode) != (right.size, right.mode):
                return False
            difference = ImageChops.difference(left.convert("RGBA"), right.convert("RGBA"))
    except Exception:  # noqa: BLE001 - what cannot be decoded is like nothing
        return False
    if max(ImageStat.Stat(difference).mean) > MEAN_DIFFERENCE_MAX:
        return False
    peaks = difference.convert("RGB").convert("L").point(lambda value: 255 if value > PEAK_DIFFERENCE else 0)
    return ImageStat.Stat(peaks).mean[0] / 255 <= PEAK_SHARE_MAX


def where_they_differ(one: bytes, other: bytes) -> str:
    """In words, the area in which two pictures of one size differ; empty where that cannot be told. Blocking."""
    try:
        from PIL import Image, ImageChops
    except ModuleNotFoundError:
        return ""
    try:
        with Image.open(io.BytesIO(one)) as left, Image.open(io.BytesIO(other)) as right:
            if left.size != right.size:
                return f"{left.width} x {left.height} pixels, alone {right.width} x {right.height}"
            box = ImageChops.difference(left.convert("RGB"), right.convert("RGB")).getbbox()
            if box is None:
                return ""
            return f"other pixels in rows {box[1]} to {box[3] - 1} of {left.height}, columns {box[0]} to {box[2] - 1}"
    except Exception:  # noqa: BLE001 - what cannot be decoded has no place
        return ""
