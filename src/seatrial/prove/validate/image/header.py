"""`image.header`: a picture of a known format."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, Passed, Subject
from seatrial.prove.validate.image.picture import read_header


def _run(subject: Subject) -> Passed:
    header = subject.once(read_header)
    return Passed(f"{header.format.upper()}, {header.width}x{header.height}, {header.mode}")


CHECK = Check(
    "image.header",
    _run,
    "write PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF; a text under a picture's name is often an error that was saved",
    needs=("file.exists", "file.size"),
)
