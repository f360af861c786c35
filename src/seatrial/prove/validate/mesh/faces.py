"""`mesh.faces`: as many as expected, each naming vertices that exist."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.mesh.geometry import Geometry, read_geometry
from seatrial.prove.validate.mesh.parses import READ

_POINT_FORMATS = ("ply", "glb")


def is_points(geometry: Geometry) -> bool:
    """Whether it holds points only, in a format that may."""
    return geometry.format in _POINT_FORMATS and all(part.faces is None for part in geometry.parts)


def _run(subject: Subject) -> Passed:
    settings, geometry = subject.profile.mesh, subject.once(read_geometry)
    if settings.points_allowed and is_points(geometry):
        raise NotApplicable("a point cloud")
    count = sum(len(part.faces) for part in geometry.parts if part.faces is not None)
    measured = {"faces": count}
    if count < settings.faces_min:
        raise Unfit(f"Mesh has {count:,} faces, expected at least {settings.faces_min:,}", **measured)
    for part in geometry.parts:
        if part.faces is None or not len(part.faces):
            continue
        wrong = ((part.faces < 0) | (part.faces >= len(part.vertices))).any(axis=1)
        if wrong.any():
            first = int(wrong.argmax())
            raise Unfit(
                f"Mesh has {int(wrong.sum()):,} faces that name vertices which do not exist: face {first} of "
                f"{part.name!r} names vertex {int(part.faces[first].max())} of {len(part.vertices):,}",
                **measured,
                out_of_range=int(wrong.sum()),
            )
    return Passed(f"{count:,} faces, all in range", measured)


CHECK = Check(
    "mesh.faces",
    _run,
    "vertices were removed or merged without renumbering the faces: do both with one library call",
    needs=(*READ, "mesh.vertices"),
)
