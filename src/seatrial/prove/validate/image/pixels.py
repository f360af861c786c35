"""`image.pixels`: no more than can be decoded safely. Told by the header, before anything is decoded."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, Passed, Subject, Unfit
from seatrial.prove.validate.image.picture import read_header


def _run(subject: Subject) -> Passed:
    header, limit = subject.once(read_header), subject.profile.image.pixels_max
    pixels = header.width * header.height
    measured = {"pixels": pixels, "pixels_max": limit}
    if pixels > limit:
        shown = f"{header.width}x{header.height} = {pixels:,} pixels"
        raise Unfit(f"Image too large to decode ({shown}, limit: {limit:,})", **measured)
    return Passed(f"{pixels:,} pixels", measured)


CHECK = Check(
    "image.pixels",
    _run,
    "a small file of huge size is an attack or a mistake; for large pictures raise pixels_max",
    needs=("file.exists", "file.size", "image.header"),
)
