"""`mesh.unreferenced`: few vertices that no face uses, as the end of a file that was cut leaves."""

from __future__ import annotations

import numpy as np

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.mesh.faces import is_points
from seatrial.prove.validate.mesh.geometry import read_geometry
from seatrial.prove.validate.mesh.parses import READ


def _run(subject: Subject) -> Passed:
    geometry, limit = subject.once(read_geometry), subject.profile.mesh.unreferenced_share_max
    if is_points(geometry):
        raise NotApplicable("a point cloud has no faces")
    unused = total = 0
    for part in geometry.parts:
        if part.faces is None:
            continue
        used = np.zeros(len(part.vertices), dtype=bool)
        used[part.faces.ravel()] = True
        unused += int(len(used) - used.sum())
        total += len(used)
    share = unused / max(total, 1)
    measured = {"unreferenced_share": round(share, 4), "unreferenced_share_max": limit}
    if share > limit:
        raise Unfit(f"Mesh has {share:.1%} vertices that no face uses (threshold: {limit:.1%})", **measured)
    return Passed(f"{share:.1%} of the vertices are unused", measured)


CHECK = Check(
    "mesh.unreferenced",
    _run,
    "faces are missing: was the file complete when it was copied? Else remove unused vertices, or set "
    "unreferenced_share_max",
    needs=(*READ, "mesh.vertices", "mesh.faces"),
)
