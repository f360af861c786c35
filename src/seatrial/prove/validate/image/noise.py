"""`image.noise`: the picture is not pure noise, as undecoded latents or random memory look.

In noise a pixel's neighbour says nothing about it: the mean squared difference of neighbours is twice the variance. In
pictures, textures of sand and grass included, neighbours are alike. The same is looked at after averaging 2 x 2 to
16 x 16 pixels, where noise that an upscaler has smoothed is noise again; there only coloured noise counts, since grey
gravel is like that too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.image.decodes import DECODED
from seatrial.prove.validate.image.picture import channels, luminance, read_picture, small

SIDE_MIN = 32
LEVELS_MIN = 16  # pictures of fewer grey levels, such as QR codes and dithered ones, are left alone
HALVINGS = 4
COARSE_RATIO = 0.6
APART = (1, 2, 3, 4)  # averaged pixels: of noise the ratio is 1 whatever the distance
CHEQUERED_RATIO = 1.3  # of squares that take turns it is up to 2 at one of them, and near 0 at another
CHANNELS_ALIKE = 0.5  # correlation of the channels, above which coarse noise is taken for a texture


def _run(subject: Subject) -> Passed:
    limit = subject.profile.image.noise_ratio_max
    if limit is None:
        raise NotApplicable("the profile allows noise")
    picture = subject.once(read_picture)
    small(picture, SIDE_MIN)
    grey = luminance(picture.middle)
    if len(np.unique(grey.astype(np.uint8))) < LEVELS_MIN:
        raise NotApplicable("the picture has too few grey levels")
    ratio = noise_ratio(grey)
    measured = {"noise_ratio": round(ratio, 3), "noise_ratio_max": limit}
    if ratio > limit:
        raise Unfit(f"Image is noise: neighbouring pixels differ as random ones do ({ratio:.2f})", **measured)
    coarse = _coarse_ratio(picture.middle)
    measured["coarse_ratio"] = round(coarse, 3)
    if coarse > COARSE_RATIO:
        raise Unfit(f"Image is coloured noise, smoothed ({coarse:.2f})", **measured)
    return Passed(f"neighbouring pixels are alike ({ratio:.2f})", measured)


def noise_ratio(grey: NDArray[np.float32]) -> float:
    """Neighbours' mean squared difference to twice the variance, the lesser of both directions; 0 when flat."""
    return min(_ratios(grey, 1))


def _ratios(grey: NDArray[np.float32], apart: int) -> tuple[float, float]:
    """The same of pixels so far apart, down and across."""
    variance = float(grey.var(dtype=np.float64))
    if variance < 1.0:
        return 0.0, 0.0
    down = float(((grey[apart:] - grey[:-apart]) ** 2).mean(dtype=np.float64))
    across = float(((grey[:, apart:] - grey[:, :-apart]) ** 2).mean(dtype=np.float64))
    return down / (2 * variance), across / (2 * variance)


def _coarse_ratio(pixels: NDArray[np.uint8]) -> float:
    """The greatest noise ratio that all channels of the averaged picture have; 0 when they are alike or take turns."""
    if pixels.shape[2] < 3:
        return 0.0
    worst, means = 0.0, [one.astype(np.float32) for one in channels(pixels)[:3]]
    for _ in range(HALVINGS):
        means = [_halved(one) for one in means]
        if min(means[0].shape) < SIDE_MIN:
            break
        if _channels_alike(means) < CHANNELS_ALIKE:
            ratios = [ratio for one in means for apart in APART for ratio in _ratios(one, apart)]
            worst = max(worst, min(ratios) if max(ratios) <= CHEQUERED_RATIO else 0.0)
    return worst


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The means of 2 x 2 values."""
    even = values[: values.shape[0] // 2 * 2, : values.shape[1] // 2 * 2]
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / np.float32(4)


def _channels_alike(means: list[NDArray[np.float32]]) -> float:
    """The mean correlation of the channels."""
    flat = np.stack([one.ravel() for one in means])
    if float(flat.var(axis=1).min()) < 1.0:
        return 1.0
    matrix = np.corrcoef(flat)
    return float((matrix.sum() - 3) / 6)


CHECK = Check(
    "image.noise",
    _run,
    "the latents were saved undecoded, or the sampler did no steps: check the scheduler and the decoder",
    needs=DECODED,
)
