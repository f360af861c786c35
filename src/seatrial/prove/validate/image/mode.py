"""`image.mode`: grey, colour, transparency as the profile takes them."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.image.picture import read_header


def _run(subject: Subject) -> Passed:
    header, wanted = subject.once(read_header), subject.profile.image.modes
    if not wanted:
        raise NotApplicable(f"{header.mode}; the profile takes any mode")
    if header.mode not in wanted:
        raise Unfit(f"Image has mode {header.mode}, expected {' or '.join(wanted)}", mode=header.mode)
    return Passed(header.mode, {"mode": header.mode})


CHECK = Check(
    "image.mode",
    _run,
    "convert the picture before it is written, such as image.convert('RGB')",
    needs=("file.exists", "file.size", "image.header"),
)
