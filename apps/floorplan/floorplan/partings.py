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

BLUR = 3
"""Pixels by which enlarging and blur widen a line."""

FURNITURE_AREA = 4.0
"""Up to this many squares of a door's width, what only a line parts from a larger space is a piece of it."""

OPEN_SHARE, BARE_SHARE = 0.55, 0.25
"""A space of which lines alone keep this share of its outer side, and this share of its whole outline,
from outdoors is itself outdoors."""


@dataclass(frozen=True)
class Partings:
    """Pairs of neighbouring spaces (labels, 0: outdoors): `thickness` (median) and `length` in sheet pixels."""

    one: np.ndarray
    other: np.ndarray
    thickness: np.ndarray
    length: np.ndarray

    def where(self, chosen: np.ndarray) -> Partings:
        """Those pairs alone."""
        return Partings(self.one[chosen], self.other[chosen], self.thickness[chosen], self.length[chosen])

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


def without_flimsy(space: Space, found: Partings, pen: float, door: float) -> tuple[Space, float]:
    """Join what lines alone part: fields between dimension lines to outdoors, furniture and door leaves
    to their rooms; return what is left and the usual thickness of its walls."""
    line = line_width(pen)
    names = np.arange(len(space.areas), dtype=np.int32)
    _open_air(names, found, found.thickness < min(FLIMSY_OUTSIDE * found.thickness_of(0.9), line))
    indoors = found.where((names[found.one] > 0) | (names[found.other] > 0))
    usual = indoors.thickness_of(0.6)
    flimsy = indoors.where(
        (indoors.thickness < min(FLIMSY * usual, line)) & (names[indoors.one] > 0) & (names[indoors.other] > 0)
    )
    _join_furniture(names, space.areas.astype(float), flimsy, FURNITURE_AREA * door**2)
    roots = np.array([_root(names, label) for label in range(len(names))], np.int32)
    return _renamed(space, roots, round(line) + 1), usual


def line_width(pen: float) -> float:
    """The widest that a line of the pen may look, in sheet pixels."""
    return PENS * pen + BLUR


def _join_furniture(names: np.ndarray, areas: np.ndarray, flimsy: Partings, area_max: float) -> None:
    """Name what is small after the larger neighbour behind a line; longest lines first."""
    for pair in np.argsort(-flimsy.length).tolist():
        ends = (_root(names, int(flimsy.one[pair])), _root(names, int(flimsy.other[pair])))
        small, large = sorted(ends, key=lambda label: areas[label])
        if small != large and areas[small] <= area_max:
            names[small] = large
            areas[large] += areas[small]


def _open_air(names: np.ndarray, found: Partings, flimsy: np.ndarray) -> None:
    """Name 0 what is outdoors but for lines; what that lays bare may follow."""
    one, other = found.one, found.other
    around = np.bincount(one, found.length, len(names)) + np.bincount(other, found.length, len(names))
    while True:
        to_outside = (names[one] == 0) != (names[other] == 0)
        inner = np.where(names[one] == 0, other, one)
        total = np.bincount(inner[to_outside], found.length[to_outside], len(names))
        thin = np.bincount(inner[to_outside & flimsy], found.length[to_outside & flimsy], len(names))
        bare = np.flatnonzero((thin > OPEN_SHARE * total) & (thin > BARE_SHARE * around) & (names > 0))
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
