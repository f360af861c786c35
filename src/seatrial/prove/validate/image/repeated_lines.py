"""`image.repeated_lines`: the picture does not end in copies of one line, as a decoder leaves that repeats its last."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.image.decodes import DECODED
from seatrial.prove.validate.image.edge_band import SIDE_MIN
from seatrial.prove.validate.image.picture import Lines, greatest, read_picture, small

CHANGING_SHARE = 0.3  # of the other lines' samples differ from the line before
STREAK_SHARE = 0.1  # of the repeated line's samples differ from their neighbour


def _run(subject: Subject) -> Passed:
    least = subject.profile.image.band_share_min
    if least is None:
        raise NotApplicable("the profile allows such bands")
    picture = subject.once(read_picture)
    small(picture, SIDE_MIN)
    for edge, lines in (("bottom", picture.rows), ("right", picture.columns)):
        share = _repeated_share(lines)
        if share >= least:
            raise Unfit(
                f"Partial render detected: {share:.1%} of the lines at the {edge} are copies of one line",
                edge=edge,
                repeated_share=round(share, 4),
            )
    return Passed("no edge consists of copies of one line")


def _repeated_share(lines: Lines) -> float:
    """The share of lines at the end that equal the one before, in a picture whose other lines change."""
    streaks = float((lines[-1, 1:] != lines[-1, :-1]).any(axis=1).mean())
    if streaks < STREAK_SHARE:
        return 0.0
    changed = greatest(lines[1:] != lines[:-1]).mean(axis=1)
    still = changed[::-1] == 0
    count = len(still) if still.all() else int(still.argmin())
    if not 0 < count < len(still) or float(changed[: len(still) - count].mean()) < CHANGING_SHARE:
        return 0.0
    return count / len(lines)


CHECK = Check(
    "image.repeated_lines",
    _run,
    "the picture was saved before it was complete: synchronise the device, then write to a temporary "
    "file and rename it",
    needs=DECODED,
)
