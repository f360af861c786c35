"""What parts neighbouring spaces: solid wall, or a line that is far too thin to be one.

Each wall pixel belongs to the space nearest to it (a Voronoi partition by distance transform); where
the territories of two spaces meet, the two distances add up to the thickness of what parts them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from floorplan.doors import CAP_MAX
from floorplan.morphology import closed as closing
from floorplan.space import Space

FLIMSY, FLIMSY_OUTSIDE = 0.35, 0.42
"""What is thinner than this share of the plan's walls is no wall, if a pen's line is as wide; towards
outdoors it is a share of the plan's thick walls."""

PENS = 2.2
"""Anything wider than this many lines of the pen is not a line."""

FURNITURE_AREA = 4.0
"""Up to this many squares of a door's width, what only a line parts from a larger space is a piece of it."""

OPEN_SHARE = 0.55
"""A space of which lines alone keep this share of its outer side from outdoors is itself outdoors."""


@dataclass(frozen=True)
class Partings:
    """Pairs of neighbouring spaces (labels, 0: outdoors): `thickness` (median) and `length` in sheet pixels."""

    one: np.ndarray
    other: np.ndarray
    thickness: np.ndarray
    length: np.ndarray

    def thickness_of(self, share: float) -> float:
        """The thickness that this share of the length does not exceed; 0 where there are no walls."""
        if not len(self.length):
            return 0.0
        order = np.argsort(self.thickness)
        reached = np.cumsum(self.length[order])
        return float(self.thickness[order][np.searchsorted(reached, share * reached[-1])])


def partings(space: Space, closed: np.ndarray) -> Partings:
    """Measure what parts the spaces; borders that are not in `closed` (stopped leaks) do not count."""
    walls = 1 - space.free
    distance, territory = cv2.distanceTransformWithLabels(walls, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    names = np.zeros(int(territory.max()) + 1, np.int32)
    free = space.free == 1
    names[territory[free]] = space.labels[free]
    width = territory.shape[1]
    found = []
    for step in (1, width):
        here = np.flatnonzero(territory.ravel()[:-step] != territory.ravel()[step:])
        there = here + step
        solid = (closed.ravel()[here] | closed.ravel()[there]) == 1
        here, there = here[solid], there[solid]
        ends = np.sort(names[np.stack([territory.ravel()[here], territory.ravel()[there]])], axis=0)
        found.append(np.vstack([ends, distance.ravel()[here] + distance.ravel()[there]]))
    one, other, thickness = np.hstack(found)
    apart = (one != other) & (thickness <= CAP_MAX)
    return _by_pair(one[apart].astype(int), other[apart].astype(int), thickness[apart])


def _by_pair(one: np.ndarray, other: np.ndarray, thickness: np.ndarray) -> Partings:
    order = np.lexsort((thickness, other, one))
    one, other, thickness = one[order], other[order], thickness[order]
    starts = np.flatnonzero(np.diff(one, prepend=-1) | np.diff(other, prepend=-1))
    lengths = np.diff(starts, append=len(one))
    return Partings(one[starts], other[starts], thickness[starts + lengths // 2], lengths)


def without_flimsy(space: Space, found: Partings, pen: float, door: float) -> Space:
    """Join what lines alone part: furniture and door leaves to their rooms, fields between dimension
    lines to outdoors."""
    inside = FLIMSY * found.thickness_of(0.6)
    outside = FLIMSY_OUTSIDE * found.thickness_of(0.8)
    flimsy = found.thickness < np.minimum(np.where(found.one == 0, outside, inside), PENS * pen + 1)
    if not flimsy.any():
        return space
    names = np.arange(len(space.areas), dtype=np.int32)
    _open_air(names, found, flimsy)
    areas = space.areas.astype(float)
    pairs = np.flatnonzero(flimsy & (found.one > 0))
    for pair in pairs[np.argsort(-found.length[pairs])].tolist():
        small, large = sorted(
            (_root(names, int(found.one[pair])), _root(names, int(found.other[pair]))), key=lambda label: areas[label]
        )
        if small != large and small and large and areas[small] <= FURNITURE_AREA * door**2:
            names[small] = large
            areas[large] += areas[small]
    roots = np.array([_root(names, label) for label in range(len(names))], np.int32)
    return _renamed(space, roots, int(max(found.thickness[flimsy])) + 2)


def _open_air(names: np.ndarray, found: Partings, flimsy: np.ndarray) -> None:
    """Name 0 what is outdoors but for lines; what that lays bare may follow."""
    one, other = found.one, found.other
    while True:
        to_outside = (names[one] == 0) != (names[other] == 0)
        inner = np.where(names[one] == 0, other, one)
        total = np.bincount(inner[to_outside], found.length[to_outside], len(names))
        thin = np.bincount(inner[to_outside & flimsy], found.length[to_outside & flimsy], len(names))
        bare = np.flatnonzero((thin > OPEN_SHARE * total) & (names > 0))
        if not len(bare):
            return
        names[bare] = 0


def _root(names: np.ndarray, label: int) -> int:
    while names[label] != label:
        label = int(names[label])
    return label


def _renamed(space: Space, names: np.ndarray, line: int) -> Space:
    """The space under new labels; lines within a joined space become part of it."""
    labels = names[space.labels]
    free, areas, boxes = space.free.copy(), space.areas.copy(), list(space.boxes)
    widths = space.clear_widths.copy()
    for label in np.unique(names[names != np.arange(len(names))]).tolist():
        if label == 0:
            continue
        parts = np.flatnonzero(names == label)
        corners = np.array([space.boxes[part] for part in parts])
        left, top = corners[:, :2].min(axis=0).tolist()
        right, bottom = corners[:, 2:].max(axis=0).tolist()
        window = np.s_[top:bottom, left:right]
        whole = np.pad((labels[window] == label).astype(np.uint8), line)
        whole = closing(whole, line, line)[line:-line, line:-line]
        taken = (whole == 1) & (labels[window] == 0)
        labels[window][taken] = label
        free[window][taken] = 1
        boxes[label] = (left, top, right, bottom)
        areas[label] = int((labels[window] == label).sum())
        widths[label] = widths[parts].max()
    areas[names != np.arange(len(names))] = 0
    return Space(free, labels, areas, boxes, widths)
