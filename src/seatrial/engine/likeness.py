"""Are two pictures the same to the eye? Devices may round differently from run to run. Needs Pillow."""

from __future__ import annotations

import io

from seatrial.engine.images import HAS_PILLOW

MEAN_DIFFERENCE_MAX = 1.0  # of 255, over all pixels and bands
PEAK_SHARE_MAX = 0.001  # of pixels that may differ by more than PEAK_DIFFERENCE
PEAK_DIFFERENCE = 16


def alike(one: bytes, other: bytes) -> bool:
    """Whether both are pictures of one size and mode that differ by no more than rounding. Blocking."""
    if not HAS_PILLOW:
        return False
    from PIL import Image, ImageChops, ImageStat  # noqa: PLC0415 - an extra

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
