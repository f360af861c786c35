"""`image.decodes`: every frame decodes, and no value is NaN or infinite."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, Passed, Subject, Unfit
from seatrial.prove.validate.image.picture import read_picture


def _run(subject: Subject) -> Passed:
    picture = subject.once(read_picture)
    if not picture.finite:
        raise Unfit("Image holds values that are NaN or infinite")
    return Passed("decodes fully")


CHECK = Check(
    "image.decodes",
    _run,
    "save the picture again from the model's output; check that the output has no NaN before it is converted",
    needs=("file.exists", "file.size", "image.header", "image.pixels", "image.whole"),
)
DECODED = (*CHECK.needs, CHECK.id)  # what checks of the pixels need
