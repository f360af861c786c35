"""`image.partial_render`: the share of the bottom's rows that are blank.

A blunt rule for profiles of models whose pictures never have a dark bottom; `image.edge_band` tells cut pictures from
dark ones.
"""

from __future__ import annotations

import numpy as np

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.image.bands import constant_lines
from seatrial.prove.validate.image.decodes import DECODED
from seatrial.prove.validate.image.picture import blank_pixels, read_picture

BLANK_ROW_SHARE = 0.95  # of its pixels


def _run(subject: Subject) -> Passed:
    settings = subject.profile.image
    limit = settings.bottom_blank_rows_share_max
    if limit is None:
        raise NotApplicable("the profile allows dark bottoms")
    rows = subject.once(read_picture).rows
    bottom = rows[-max(1, round(len(rows) * settings.bottom_share)) :]
    grey = constant_lines(bottom) & (np.abs(bottom[:, 0].astype(np.int16) - 128) <= 1).all(axis=1)
    blank = (blank_pixels(bottom, settings.blank_level_max).mean(axis=1) >= BLANK_ROW_SHARE) | grey
    share = float(blank.mean())
    measured = {"bottom_blank_rows_share": round(share, 4), "bottom_share": settings.bottom_share}
    if share > limit:
        raise Unfit(f"Partial render detected: {share:.1%} of bottom rows are blank", **measured)
    return Passed(f"{share:.1%} of bottom rows are blank", measured)


CHECK = Check(
    "image.partial_render",
    _run,
    "wait until the model and the device are done before the picture is read: torch.cuda.synchronize(), then save",
    needs=DECODED,
)
