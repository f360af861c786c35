"""The arrays that a profile's expectations are about."""

from __future__ import annotations

from seatrial.prove.validate.array.figures import ArrayFigures, read_arrays
from seatrial.prove.validate.check import Subject


def chosen_arrays(subject: Subject) -> list[ArrayFigures]:
    """Those that the profile names; all when it names none."""
    wanted = subject.profile.array.members
    return [one for one in subject.once(read_arrays) if not wanted or one.name in wanted]
