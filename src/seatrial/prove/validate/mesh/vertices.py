"""`mesh.vertices`: as many as expected, each with finite coordinates."""

from __future__ import annotations

import numpy as np

from seatrial.prove.validate.check import Check, Passed, Subject, Unfit
from seatrial.prove.validate.mesh.geometry import read_geometry
from seatrial.prove.validate.mesh.parses import READ


def _run(subject: Subject) -> Passed:
    settings, parts = subject.profile.mesh, subject.once(read_geometry).parts
    count = sum(len(part.vertices) for part in parts)
    measured = {"vertices": count}
    if count < settings.vertices_min:
        raise Unfit(f"Mesh has {count:,} vertices, expected at least {settings.vertices_min:,}", **measured)
    if count > settings.vertices_max:
        raise Unfit(f"Mesh has {count:,} vertices, expected at most {settings.vertices_max:,}", **measured)
    for part in parts:
        wrong = np.asarray(~np.isfinite(part.vertices).all(axis=1))
        if wrong.any():
            raise Unfit(
                f"Mesh has {int(wrong.sum()):,} of {len(wrong):,} vertices that are NaN or infinite, "
                f"first vertex {int(wrong.argmax())} of {part.name!r}",
                **measured,
                not_finite=int(wrong.sum()),
            )
    return Passed(f"{count:,} vertices, all finite", measured)


CHECK = Check(
    "mesh.vertices",
    _run,
    "look for NaN in the depth or the field that the mesh is made from, and for empty masks",
    needs=READ,
)
