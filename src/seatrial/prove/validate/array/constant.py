"""`array.constant`: the values are not all the same, as those of an array that was never filled."""

from __future__ import annotations

from seatrial.prove.validate.array.chosen import chosen_arrays
from seatrial.prove.validate.array.parses import READ
from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit

VALUES_MIN = 16  # fewer may well be equal, such as those of an offset
_BOOLEAN = "bool"  # a mask may be empty


def _run(subject: Subject) -> Passed:
    if subject.profile.array.constant_allowed:
        raise NotApplicable("the profile allows constant arrays")
    for one in chosen_arrays(subject):
        if one.count < VALUES_MIN or one.dtype == _BOOLEAN:
            continue
        if one.least is not None and one.least == one.greatest:
            raise Unfit(f"Array {one.name!r} is constant: every value is {one.least:g}", value=one.least)
    return Passed("the values differ")


CHECK = Check(
    "array.constant",
    _run,
    "an array of zeros is often a buffer that the model never wrote to; where it is meant, set constant_allowed",
    needs=(*READ, "array.finite"),
)
