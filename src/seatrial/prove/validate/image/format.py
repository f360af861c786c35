"""`image.format`: one of the formats that the profile takes."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, Passed, Subject, Unfit
from seatrial.prove.validate.image.picture import read_header


def _run(subject: Subject) -> Passed:
    header = subject.once(read_header)
    wanted = subject.profile.image.formats
    measured = {"format": header.format}
    if wanted and header.format not in wanted:
        raise Unfit(f"Image is a {header.format.upper()}, expected {' or '.join(wanted).upper()}", **measured)
    return Passed(header.format.upper(), measured)


CHECK = Check(
    "image.format",
    _run,
    "save in the expected format: its name alone does not make it; or set formats to what is made",
    needs=("file.exists", "file.size", "image.header"),
)
