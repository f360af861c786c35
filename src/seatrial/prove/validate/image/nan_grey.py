"""`image.nan_grey`: the picture is not the even mid-grey that NaN or zeroed latents become."""

from __future__ import annotations

import numpy as np

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.image.decodes import DECODED
from seatrial.prove.validate.image.picture import channels, read_header, read_picture

GREY, NEAR = (125, 130), 3.0
GREY_SHARE = 0.98
_RENDERED = ("RGB", "L", "RGBA", "CMYK", "YCbCr", "P")


def _run(subject: Subject) -> Passed:
    if subject.profile.image.variance_min is None:
        raise NotApplicable("the profile allows flat pictures")
    if subject.once(read_header).mode not in _RENDERED:
        raise NotApplicable("a picture of more than 8 bits is no rendered one")
    rows = subject.once(read_picture).rows
    colours = channels(rows)[:3]
    grey = np.logical_and.reduce([(one >= GREY[0]) & (one <= GREY[1]) for one in colours])
    share, spread = float(grey.mean()), max(float(one.std(dtype=np.float32)) for one in colours)
    measured = {"grey_share": round(share, 4)}
    if share >= GREY_SHARE and spread < NEAR:
        raise Unfit(f"Image is mid-grey all over ({share:.1%} of its pixels): the model's values were NaN?", **measured)
    return Passed(f"{share:.1%} of the pixels are mid-grey", measured)


CHECK = Check(
    "image.nan_grey",
    _run,
    "look for NaN in the model's output: half precision overflows in many decoders, float32 or bfloat16 does not",
    needs=DECODED,
)
