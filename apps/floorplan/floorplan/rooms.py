"""Rooms: the regions that walls and closed openings enclose."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from floorplan.doors import Opening, close
from floorplan.morphology import grown

ROOM_SHARE_MIN = 0.0025
"""Smallest room as a share of the area of the whole building (a cupboard is not a room)."""

WIDTH_MIN = 22
"""Smallest clear width of a room, in sheet pixels."""
SLIM_WIDTH_MIN = 40
"""The same for a region six times as long as wide: a hollow wall or a window, unless wide enough."""

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

    def mask(self, labels: np.ndarray) -> np.ndarray:
        """The room's pixels within its box, 0 or 1."""
        left, top, right, bottom = self.box
        return (labels[top:bottom, left:right] == self.label).astype(np.uint8)


@dataclass(frozen=True)
class Space:
    """What is not wall, labelled by connected region; label 0 is wall and all that is outdoors."""

    labels: np.ndarray
    areas: np.ndarray
    boxes: list[tuple[int, int, int, int]]
    clear_widths: np.ndarray


def enclose(walls: np.ndarray, found: list[Opening]) -> tuple[np.ndarray, list[Region], list[Opening]]:
    """Label the enclosed space; return the labels, the regions that are rooms, and the openings
    that bound them."""
    bounding = _without_passages(walls, found)
    closed = _without_loose_pieces(close(walls, bounding))
    space = free_space(_leaks_stopped(closed, LEAK * _door_width(found)))
    sure = close(walls, [opening for opening in bounding if opening.is_drawn])
    return space.labels, _rooms(space, sure), bounding


def free_space(closed: np.ndarray) -> Space:
    """Label the free space; what is connected to the sheet's border is outdoors."""
    free = (1 - closed).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(free, connectivity=4)
    outdoors = np.zeros(len(stats), bool)
    outdoors[0] = True  # not outdoors but wall: neither is a region
    for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outdoors[border] = True
    names = np.arange(len(stats), dtype=np.int32)
    names[outdoors] = 0
    labels = names[labels]
    areas = np.where(outdoors, 0, stats[:, cv2.CC_STAT_AREA])
    boxes = [(left, top, left + width, top + height) for left, top, width, height, _ in stats.tolist()]
    return Space(labels, areas, boxes, _clear_widths(labels, len(stats)))


def _clear_widths(labels: np.ndarray, count: int) -> np.ndarray:
    """Diameter of the largest circle inside each region; infinite outdoors."""
    distance = cv2.distanceTransform((labels > 0).astype(np.uint8), cv2.DIST_L2, 3)
    peaks = np.flatnonzero((distance > 1) & (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8))))
    widths = np.full(count, 2.0)
    np.maximum.at(widths, labels.ravel()[peaks], 2 * distance.ravel()[peaks])
    widths[0] = np.inf
    return widths


def _without_passages(walls: np.ndarray, found: list[Opening]) -> list[Opening]:
    """Drop openings that only divide one open space: too wide for the spaces they would divide.

    The weakest are judged first; what a dropped opening had divided is one space from then on.
    """
    space = free_space(close(walls, found))
    width = space.clear_widths.tolist()
    door = _door_width(found)
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
    if narrower_side < WIDTH_MIN:
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
    plain = [o.length for o in found if o.facing and o.lined < 0.5]
    for lengths in (swings, plain):
        usable = [n for n in lengths if n >= 20]
        if len(usable) >= 2:
            return float(np.clip(np.percentile(usable, 50), 30, 150))
    return 80.0


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


def _rooms(space: Space, walls: np.ndarray) -> list[Region]:
    big = np.flatnonzero(space.areas >= max(1.0, ROOM_SHARE_MIN * space.areas.sum())).tolist()
    near_wall = grown(walls, 2)
    return [
        _region(label, space, near_wall) for label in big
        if space.clear_widths[label] >= _clear_width_min(space.areas[label], space.clear_widths[label])
    ]


def _clear_width_min(area: float, clear_width: float) -> float:
    return SLIM_WIDTH_MIN if area > 6 * clear_width**2 else WIDTH_MIN


def _region(label: int, space: Space, near_wall: np.ndarray) -> Region:
    left, top, right, bottom = space.boxes[label]
    mask = np.pad((space.labels[top:bottom, left:right] == label).astype(np.uint8), 1)
    rim = ((mask == 1) & (cv2.erode(mask, np.ones((3, 3), np.uint8)) == 0))[1:-1, 1:-1]
    area = int(space.areas[label])
    walled = float(near_wall[top:bottom, left:right][rim].mean())
    plain = min(1.0, PLAIN_OUTLINE * math.sqrt(area) / int(rim.sum()))
    return Region(label, space.boxes[label], area, float(space.clear_widths[label]), walled, plain)
