"""`mesh.gaps`: faces that share vertices share edges as well; else those between them are missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.mesh.faces import is_points
from seatrial.prove.validate.mesh.geometry import read_geometry
from seatrial.prove.validate.mesh.parses import READ

SHARED_VERTICES_PER_FACE_MAX = 1.25  # of a closed surface 0.5, of a ribbon 1, of lone quads 2, of lone triangles 3
FACES_MIN = 20  # fewer say little


def _run(subject: Subject) -> Passed:
    geometry, limit = subject.once(read_geometry), subject.profile.mesh.lone_edges_share_max
    if is_points(geometry):
        raise NotApplicable("a point cloud has no faces")
    edges = lone = 0
    for part in geometry.parts:
        if part.faces is not None and _shares_vertices(part.faces):
            uses = _uses_of_edges(part.faces)
            edges += len(uses)
            lone += int((uses == 1).sum())
    if not edges:
        raise NotApplicable("its faces share no vertices")
    share = lone / edges
    measured = {"lone_edges_share": round(share, 4), "lone_edges_share_max": limit}
    if share > limit:
        raise Unfit(f"Mesh has {share:.1%} edges with a face on one side only (threshold: {limit:.1%})", **measured)
    return Passed(f"{share:.1%} of the edges have a face on one side only", measured)


def _shares_vertices(faces: NDArray[np.int64]) -> bool:
    return len(faces) >= FACES_MIN and len(np.unique(faces)) <= SHARED_VERTICES_PER_FACE_MAX * len(faces)


def _uses_of_edges(faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each edge, how many faces it has."""
    ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    _, uses = np.unique(ends[:, 0] * (int(faces.max()) + 1) + ends[:, 1], return_counts=True)
    return uses


CHECK = Check(
    "mesh.gaps",
    _run,
    "faces between the others are missing: was the file complete when it was copied? For a surface that is meant to "
    "be perforated, set lone_edges_share_max",
    needs=(*READ, "mesh.vertices", "mesh.faces"),
)
