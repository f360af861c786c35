"""Rooms: the regions that walls and closed openings enclose."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from floorplan.doors import CAP_MAX, Opening, close
from floorplan.morphology import grown, opened
from floorplan.space import Space, free_space

ROOM_SHARE_MIN = 0.0025
"""Smallest room as a share of the area of the whole building (a cupboard is not a room)."""

WIDTH_MIN, SLIM_WIDTH_MIN = 0.5, 0.75
"""Smallest clear width of a room in door widths; of one that is more than four times as long."""

AREA_MIN = 1.0
"""Smallest area in squares of a door's width; the quarter circle of a drawn door has 0.79."""

DOOR_FOR_ROOMS = (45.0, 100.0)
"""However wide the openings seem, rooms are judged by a door between these widths, in sheet pixels."""

ANNEX = 0.2
"""A region whose outer walls are thinner than this share of the building's lies outside of it."""

STURDY = 0.12
"""Thinner than this share of the plan's walls is no evidence of a wall: a dimension line, a rail."""

LEAK = 1.4
"""Widest gap to outdoors, in door widths, that does not make a room part of outdoors."""

PLAIN_OUTLINE = 5.0
"""Outline length over the root of the area; 4 for a square, 5 for a room of 1 : 4."""


@dataclass(frozen=True)
class Region:
    """A room on the sheet: its label and box (left, top, right, bottom; half-open), in sheet pixels.

    `walled` is the share of its outline that is wall, window or drawn door rather than a plain gap; `plain` is 1 for a
    plain shape and falls the longer the outline (furniture, letters and tiles taken for walls make
    it long) is for the area.
    """

    label: int
    box: tuple[int, int, int, int]
    area: int
    clear_width: float
    walled: float
    plain: float
    outer_thickness: float | None

    def mask(self, labels: np.ndarray) -> np.ndarray:
        """The room's pixels within its box, 0 or 1."""
        left, top, right, bottom = self.box
        return (labels[top:bottom, left:right] == self.label).astype(np.uint8)


def enclose(walls: np.ndarray, found: list[Opening]) -> tuple[np.ndarray, list[Region], list[Opening]]:
    """Label the enclosed space; return the labels, the regions that are rooms, and the openings
    that bound them."""
    door = _door_width(found)
    bounding = _without_passages(walls, found, door)
    closed = _without_loose_pieces(close(walls, bounding))
    space = free_space(_leaks_stopped(closed, LEAK * door))
    evident = close(_sturdy(walls), [opening for opening in bounding if opening.is_drawn])
    return space.labels, _rooms(space, evident, door), bounding


def _without_passages(walls: np.ndarray, found: list[Opening], door: float) -> list[Opening]:
    """Drop openings that only divide one open space: too wide for the spaces they would divide.

    The weakest are judged first; what a dropped opening had divided is one space from then on.
    """
    space = free_space(close(walls, found))
    width = space.clear_widths.tolist()
    parent = list(range(len(width)))

    def whole(label: int) -> int:
        while parent[label] != label:
            label = parent[label]
        return label

    kept = []
    for opening in sorted(found, key=lambda o: (_doubt(o, door), o.length), reverse=True):
        a, b = (whole(label) for label in _sides(space.labels, opening))
        if a and b and a != b and _is_passage(opening, door, min(width[a], width[b])):
            parent[b] = a
            width[a] = max(width[a], width[b])
        elif a != b:
            kept.append(opening)
    return [o for o in kept if len({whole(label) for label in _sides(space.labels, o)}) == 2]


def _leaks_stopped(closed: np.ndarray, leak: float) -> np.ndarray:
    """Close what remains open to outdoors by a gap narrower than `leak` but is wide inside, such as a
    room behind a slanted bay window.

    A disc of that diameter rolls around outdoors; spaces that hold it but that it cannot reach
    are indoors, and the space it sweeps ends where it can go no further.
    """
    outdoors = ((closed == 0) & (free_space(closed).labels == 0)).astype(np.uint8)
    roomy = (cv2.distanceTransform(outdoors, cv2.DIST_L2, 5) > leak / 2).astype(np.uint8)
    _, cores = cv2.connectedComponents(roomy, connectivity=8)
    open_air = np.unique(np.concatenate([cores[0], cores[-1], cores[:, 0], cores[:, -1]]))
    swept = np.isin(cores, open_air) & (roomy == 1)
    if swept.sum() == roomy.sum():
        return closed
    reached = cv2.distanceTransform((~swept).astype(np.uint8), cv2.DIST_L2, 5) <= leak / 2 + 1
    border = reached & (cv2.erode(reached.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    return closed | border.astype(np.uint8)


def _is_passage(opening: Opening, door: float, narrower_side: float) -> bool:
    if narrower_side < WIDTH_MIN * door:
        return True
    if opening.is_window:
        return False
    return _doubt(opening, door) > 1.0 or opening.length > 0.95 * narrower_side and _doubt(opening, door) > 0.6


def _doubt(opening: Opening, door: float) -> float:
    """Length of an opening in units of what its evidence allows; above 1 it is rather a passage."""
    allowed = door * (1.7 if opening.facing else 1.25)
    if opening.is_door:
        allowed = door * 2.6
    if opening.is_window:
        allowed = door * 3.0
    return opening.length / allowed


def _door_width(found: list[Opening]) -> float:
    """The plan's own door width: from doors drawn with their swing, else from plain gaps."""
    swings = [o.length for o in found if o.swing > 0.7]
    plain = [o.length for o in found if o.facing and o.lined < 0.5 and o.length >= 20]
    for lengths in (swings, plain):
        if len(lengths) >= 3:
            return float(np.clip(np.median(lengths), 30, 150))
    return 75.0


def _sides(labels: np.ndarray, opening: Opening) -> tuple[int, int]:
    """The regions on both long sides of an opening (0: outside or wall)."""
    o, off = opening, 3
    if o.along == "x":
        one, other = labels[max(0, o.top - off), o.left:o.right], labels[min(len(labels) - 1, o.bottom + off - 1), o.left:o.right]
    else:
        one, other = labels[o.top:o.bottom, max(0, o.left - off)], labels[o.top:o.bottom, min(labels.shape[1] - 1, o.right + off - 1)]
    return _most_common(one), _most_common(other)


def _most_common(labels: np.ndarray) -> int:
    return int(np.bincount(labels).argmax()) if len(labels) else 0


def _without_loose_pieces(closed: np.ndarray) -> np.ndarray:
    """Drop what touches no building: furniture, a drawn circle, letters."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    extent = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    extent[0] = 0
    keep = extent >= 0.25 * extent.max(initial=0)
    keep[0] = False
    return keep.astype(np.uint8)[labels]


def _sturdy(walls: np.ndarray) -> np.ndarray:
    """The walls that are not much thinner than the plan's walls usually are."""
    depth = cv2.distanceTransform(walls, cv2.DIST_L2, 3)
    ridge = depth[(depth > 0) & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)))]
    usual = 2 * float(np.percentile(ridge, 75)) if len(ridge) else 0.0
    thinnest = int(STURDY * usual)
    return opened(walls, thinnest, thinnest) if thinnest >= 2 else walls


def _rooms(space: Space, evident: np.ndarray, door: float) -> list[Region]:
    door = float(np.clip(door, *DOOR_FOR_ROOMS))
    area_min = max(ROOM_SHARE_MIN * space.areas.sum(), AREA_MIN * door**2)
    near_wall = grown(evident, 2)
    return _without_annexes([
        _region(label, space, near_wall) for label in np.flatnonzero(space.areas >= area_min).tolist()
        if space.clear_widths[label] >= door * _width_min(space.areas[label], space.clear_widths[label])
    ])


def _without_annexes(regions: list[Region]) -> list[Region]:
    """Drop what only hairlines part from outdoors while the building has thick outer walls: fields
    between dimension lines, paths, the outline of a plot."""
    facing = [r for r in regions if r.outer_thickness is not None]
    if not facing:
        return regions
    thicknesses = np.array([r.outer_thickness for r in facing])
    order = np.argsort(thicknesses)
    areas = np.cumsum(np.array([r.area for r in facing])[order])
    usual = thicknesses[order][np.searchsorted(areas, areas[-1] / 2)]
    return [r for r in regions if r.outer_thickness is None or r.outer_thickness >= ANNEX * usual]


def _width_min(area: float, clear_width: float) -> float:
    return SLIM_WIDTH_MIN if area > 4 * clear_width**2 else WIDTH_MIN


def _region(label: int, space: Space, near_wall: np.ndarray) -> Region:
    left, top, right, bottom = space.boxes[label]
    window = np.s_[top:bottom, left:right]
    mask = np.pad((space.labels[window] == label).astype(np.uint8), 1)
    rim = ((mask == 1) & (cv2.erode(mask, np.ones((3, 3), np.uint8)) == 0))[1:-1, 1:-1]
    outer = space.to_outdoors[window][rim]
    outer = outer[outer <= CAP_MAX]
    area = int(space.areas[label])
    return Region(
        label, space.boxes[label], area, float(space.clear_widths[label]),
        walled=float(near_wall[window][rim].mean()),
        plain=min(1.0, PLAIN_OUTLINE * math.sqrt(area) / int(rim.sum())),
        outer_thickness=float(np.percentile(outer, 25)) if len(outer) > 0.1 * rim.sum() else None,
    )
