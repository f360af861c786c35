"""`mesh.area`: the surface is not zero."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, Passed, Subject, Unfit
from seatrial.prove.validate.mesh.parses import READ
from seatrial.prove.validate.mesh.triangles import read_areas


def _run(subject: Subject) -> Passed:
    if float(subject.once(read_areas).sum()) == 0.0:
        raise Unfit("Mesh has a surface of zero: all its faces lie in points or lines")
    return Passed("the surface is not zero")


CHECK = Check(
    "mesh.area",
    _run,
    "the vertices have collapsed: look at the scale and at the field that the mesh is made from",
    needs=(*READ, "mesh.vertices", "mesh.faces"),
)
