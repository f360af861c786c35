"""The area of each triangle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seatrial.prove.validate.check import NotApplicable, Subject
from seatrial.prove.validate.mesh.faces import is_points
from seatrial.prove.validate.mesh.geometry import read_geometry

FLAT = 1e-6  # of the square of its longest side: a triangle with less area is a line, up to rounding


def read_areas(subject: Subject) -> NDArray[np.float64]:
    """Each triangle's area as a share of the square of its part's greatest extent; 0 for one without area.

    Raises:
        NotApplicable: there are only points.
    """
    geometry = subject.once(read_geometry)
    if is_points(geometry):
        raise NotApplicable("a point cloud has no area")
    areas = [np.zeros(0)]
    for part in geometry.parts:
        if part.faces is None or not len(part.faces):
            continue
        used = part.vertices[part.faces]
        size = float((part.vertices.max(axis=0) - part.vertices.min(axis=0)).max())
        if size == 0.0:
            areas.append(np.zeros(len(used)))
            continue
        sides = (used - np.roll(used, 1, axis=1)) / size
        share = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1) / 2
        longest = (sides**2).sum(axis=2).max(axis=1)
        areas.append(np.where(share > FLAT * longest, share, 0.0))
    return np.concatenate(areas)
