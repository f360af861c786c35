"""`array.finite`: no NaN and no infinity."""

from __future__ import annotations

from seatrial.prove.validate.array.figures import read_arrays
from seatrial.prove.validate.array.parses import READ
from seatrial.prove.validate.check import Check, Passed, Subject, Unfit


def _run(subject: Subject) -> Passed:
    for one in subject.once(read_arrays):
        if one.not_finite:
            raise Unfit(
                f"Array {one.name!r} has {one.not_finite:,} of {one.count:,} values that are NaN or infinite",
                not_finite=one.not_finite,
            )
    return Passed("every value is finite")


CHECK = Check(
    "array.finite",
    _run,
    "look for overflow in half precision, a division by zero, a norm of a zero vector",
    needs=READ,
)
