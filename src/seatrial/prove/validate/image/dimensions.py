"""`image.dimensions`: the width and height that are expected."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, Passed, Subject, Unfit
from seatrial.prove.validate.image.picture import read_header


def _run(subject: Subject) -> Passed:
    header, settings = subject.once(read_header), subject.profile.image
    measured = {"width": header.width, "height": header.height}
    width, height = settings.width or header.width, settings.height or header.height
    if (header.width, header.height) != (width, height):
        raise Unfit(f"Wrong dimensions: {header.width}x{header.height} (expected {width}x{height})", **measured)
    return Passed(f"{header.width}x{header.height}", measured)


CHECK = Check(
    "image.dimensions",
    _run,
    "ask the model for the expected size, or set width and height to what it makes",
    needs=("file.exists", "file.size", "image.header"),
)
