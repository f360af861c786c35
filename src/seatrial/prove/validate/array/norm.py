"""`array.norm`: every vector's length is within the expected bounds, and none is zero where bounds are given."""

from __future__ import annotations

from seatrial.prove.validate.array.chosen import chosen_arrays
from seatrial.prove.validate.array.parses import READ
from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit


def _run(subject: Subject) -> Passed:
    settings = subject.profile.array
    least, most = settings.norm_min, settings.norm_max
    if least is None and most is None:
        raise NotApplicable("the profile sets no bounds")
    told = f"{least if least is not None else 'any'} to {most if most is not None else 'any'}"
    for one in chosen_arrays(subject):
        if one.norms is None:
            raise Unfit(f"Array {one.name!r} of {one.dtype} {list(one.shape)} holds no vectors (expected norm: {told})")
        low, high = one.norms
        if (least is not None and low < least) or (most is not None and high > most):
            shown = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
            raise Unfit(f"Array {one.name!r} has norm {shown}, expected {told}", norm_least=low, norm_greatest=high)
    return Passed(f"every norm is {told}")


CHECK = Check(
    "array.norm",
    _run,
    "normalise each vector before saving, or set norm_min and norm_max to what the model gives",
    needs=(*READ, "array.finite"),
)
