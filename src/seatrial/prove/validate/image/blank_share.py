"""`image.blank_share`: not too many pixels are black or transparent."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.image.decodes import DECODED
from seatrial.prove.validate.image.picture import blank_pixels, read_picture


def _run(subject: Subject) -> Passed:
    settings = subject.profile.image
    limit = settings.blank_share_max
    if limit is None:
        raise NotApplicable("the profile allows blank pictures")
    share = float(blank_pixels(subject.once(read_picture).rows, settings.blank_level_max).mean())
    measured = {"blank_share": round(share, 4), "blank_share_max": limit}
    if share > limit:
        raise Unfit(f"Image has {share:.1%} blank/black pixels (threshold: {limit:.1%})", **measured)
    return Passed(f"{share:.1%} blank/black pixels", measured)


CHECK = Check(
    "image.blank_share",
    _run,
    "a model whose values became NaN, or a picture saved before it was complete, is black; for dark pictures set "
    "blank_share_max",
    needs=DECODED,
)
