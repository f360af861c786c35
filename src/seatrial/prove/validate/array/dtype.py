"""`array.dtype`: the numbers are of an expected type."""

from __future__ import annotations

from seatrial.prove.validate.array.chosen import chosen_arrays
from seatrial.prove.validate.array.parses import READ
from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit


def _run(subject: Subject) -> Passed:
    wanted = subject.profile.array.dtypes
    if not wanted:
        raise NotApplicable("the profile takes any type")
    for one in chosen_arrays(subject):
        if one.dtype not in wanted:
            raise Unfit(f"Array {one.name!r} is {one.dtype}, expected {' or '.join(wanted)}", dtype=one.dtype)
    return Passed(f"all are {' or '.join(wanted)}")


CHECK = Check("array.dtype", _run, "convert before saving, such as array.astype('float32')", needs=READ)
