"""`mesh.degenerate`: few faces without area."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.mesh.parses import READ
from seatrial.prove.validate.mesh.triangles import read_areas


def _run(subject: Subject) -> Passed:
    areas, limit = subject.once(read_areas), subject.profile.mesh.degenerate_share_max
    if not len(areas):
        raise NotApplicable("there are no faces")
    share = float((areas == 0.0).mean())
    measured = {"degenerate_share": round(share, 4), "degenerate_share_max": limit}
    if share > limit:
        raise Unfit(f"Mesh has {share:.1%} faces without area (threshold: {limit:.1%})", **measured)
    return Passed(f"{share:.1%} of the faces are without area", measured)


CHECK = Check(
    "mesh.degenerate",
    _run,
    "merge equal vertices and remove faces that name one twice; where they are meant, set degenerate_share_max",
    needs=(*READ, "mesh.vertices", "mesh.faces", "mesh.area"),
)
