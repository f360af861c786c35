"""`array.shape`: as many axes and of the lengths that are expected, and not empty."""

from __future__ import annotations

from seatrial.prove.validate.array.chosen import chosen_arrays
from seatrial.prove.validate.array.parses import READ
from seatrial.prove.validate.check import Check, Passed, Subject, Unfit


def _run(subject: Subject) -> Passed:
    wanted = subject.profile.array.shape
    for one in chosen_arrays(subject):
        if one.count == 0:
            raise Unfit(f"Array {one.name!r} is empty: shape {list(one.shape)}", shape=list(one.shape))
        if wanted is not None and not _fits(one.shape, wanted):
            shown = ", ".join("any" if length == -1 else str(length) for length in wanted)
            raise Unfit(f"Array {one.name!r} has shape {list(one.shape)}, expected [{shown}]", shape=list(one.shape))
    return Passed("as expected" if wanted is not None else "not empty")


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(want in (-1, have) for have, want in zip(shape, wanted, strict=True))


CHECK = Check("array.shape", _run, "look for a lost batch axis, or a model of another width", needs=READ)
