"""`image.variance`: the pixels are not all alike."""

from __future__ import annotations

import numpy as np

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.image.decodes import DECODED
from seatrial.prove.validate.image.picture import channels, read_picture


def _run(subject: Subject) -> Passed:
    limit = subject.profile.image.variance_min
    if limit is None:
        raise NotApplicable("the profile allows flat pictures")
    rows = subject.once(read_picture).rows
    each = [float(one.var(dtype=np.float64)) for one in channels(rows)]
    variance = max(each) if len(each) == 4 else sum(each) / len(each)
    measured = {"variance": round(variance, 3), "variance_min": limit}
    if variance < limit:
        raise Unfit(f"Image variance too low ({variance:.1f}, threshold: {limit:.1f}): it is of one colour", **measured)
    return Passed(f"variance {variance:,.1f}", measured)


CHECK = Check(
    "image.variance",
    _run,
    "a picture of one colour is what a failed model or an unfilled buffer gives; for flat pictures set variance_min",
    needs=DECODED,
)
