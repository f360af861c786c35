"""Rooms: the regions that walls and closed openings enclose."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from floorplan.doors import CAP_MAX, Opening, close
from floorplan.leaks import leaks_stopped
from floorplan.morphology import components, grown, opened
from floorplan.partings import line_width, partings, without_flimsy
from floorplan.passages import door_width, without_passages
from floorplan.space import Space

ROOM_SHARE_MIN = 0.0025
"""Smallest room as a share of the area of the whole building (a cupboard is not a room)."""

WIDTH_MIN, SLIM_WIDTH_MIN = 0.5, 0.75
"""Smallest clear width of a room in door widths; of one that is more than four times as long."""

AREA_MIN = 1.0
"""Smallest area in squares of a door's width; the quarter circle of a drawn door has 0.79."""

DOOR_FOR_ROOMS = (45.0, 100.0)
"""However wide the openings seem, rooms are judged by a door between these widths, in sheet pixels."""

ANNEX = 0.24
"""A region whose outer walls are thinner than this share of the building's lies outside of it."""

STURDY = 0.12
"""Thinner than this share of the plan's walls is no evidence of a wall: a dimension line, a rail."""

LEAK = 1.4
"""Widest gap to outdoors, in door widths, that does not make a room part of outdoors."""

STUB = 0.3
"""What is thinner than this share of the plan's walls may be a line that ends before a wall."""

LOOSE, OUTLYING = 0.25, 12
"""A loose piece is kept if it is this large for the largest one, and no further from its box (pixels)."""

BREACHED_MAX = 0.3
"""A space with more of its outline open than this is outdoors."""

PLAIN_OUTLINE = 5.0
"""Outline length over the root of the area; 4 for a square, 5 for a room of 1 : 4."""


@dataclass(frozen=True)
class Region:
    """A room on the sheet: its label and box (left, top, right, bottom; half-open), in sheet pixels.

    `breached` is the share of its outline that is a stopped leak to outdoors, `walled` the share that is
    wall, window or drawn door rather than a plain gap; `plain` is 1 for a plain shape and falls the
    longer the outline (furniture, letters and tiles taken for walls make it long) is for the area.
    """

    label: int
    box: tuple[int, int, int, int]
    area: int
    clear_width: float
    breached: float
    walled: float
    plain: float
    outer_thickness: float | None

    def mask(self, labels: np.ndarray) -> np.ndarray:
        """The room's pixels within its box, 0 or 1."""
        left, top, right, bottom = self.box
        return (labels[top:bottom, left:right] == self.label).astype(np.uint8)


def enclose(
    walls: np.ndarray, found: list[Opening], pen: float
) -> tuple[np.ndarray, list[Region], list[Opening], float]:
    """Label the enclosed space; return the labels, the regions that are rooms, the openings that bound
    them and the usual thickness of what parts them. `pen` is the width of a mere line."""
    found = _without_stubs(found, walls, pen)
    door = door_width(found)
    bounding = without_passages(walls, found, door)
    closed = _without_loose_pieces(close(walls, bounding))
    space = leaks_stopped(closed, LEAK * door)
    space, thickness = without_flimsy(space, partings(space, closed), pen, door)
    evident = close(_sturdy(walls), [opening for opening in bounding if opening.is_drawn])
    breaches = grown((space.free == 0) & (closed == 0), 3)
    return space.labels, _rooms(space, evident, breaches, door), bounding, thickness


def _without_stubs(found: list[Opening], walls: np.ndarray, pen: float) -> list[Opening]:
    """Drop openings between a mere line's end and the side of a wall, such as an extension line of a
    dimension stops short of the wall that it measures."""
    thinnest = min(STUB * _usual_thickness(walls), line_width(pen))
    return [o for o in found if o.facing or o.is_drawn or o.thickness >= thinnest]


def _without_loose_pieces(closed: np.ndarray) -> np.ndarray:
    """Drop what touches no building: furniture, a drawn circle, letters, and bars that stand well
    outside of the largest piece, as rows of dimension lines do."""
    labels, stats = components(closed)
    left, top, width, height = (stats[:, i].astype(int) for i in range(4))
    extent = np.hypot(width, height)
    extent[0] = 0
    largest = int(np.argmax(np.where(extent > 0, width * height, 0)))
    outside = np.maximum.reduce(
        [
            left[largest] - (left + width),
            left - (left + width)[largest],
            top[largest] - (top + height),
            top - (top + height)[largest],
        ]
    )
    keep = (extent >= LOOSE * extent.max(initial=0)) & (outside < OUTLYING)
    keep[0] = False
    return keep.astype(np.uint8)[labels]


def _usual_thickness(walls: np.ndarray) -> float:
    depth = cv2.distanceTransform(walls, cv2.DIST_L2, 3)
    ridge = depth[(depth > 0) & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)))]
    return 2 * float(np.percentile(ridge, 75)) if len(ridge) else 0.0


def _sturdy(walls: np.ndarray) -> np.ndarray:
    """The walls that are not much thinner than the plan's walls usually are."""
    thinnest = int(STURDY * _usual_thickness(walls))
    return opened(walls, thinnest, thinnest) if thinnest >= 2 else walls


def _rooms(space: Space, evident: np.ndarray, breaches: np.ndarray, door: float) -> list[Region]:
    door = float(np.clip(door, *DOOR_FOR_ROOMS))
    area_min = max(ROOM_SHARE_MIN * space.areas.sum(), AREA_MIN * door**2)
    near_wall = grown(evident, 2)
    regions = [
        _region(label, space, near_wall, breaches)
        for label in np.flatnonzero(space.areas >= area_min).tolist()
        if space.clear_widths[label] >= door * _width_min(space.areas[label], space.clear_widths[label])
    ]
    return _without_annexes([region for region in regions if region.breached <= BREACHED_MAX])


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


def _region(label: int, space: Space, near_wall: np.ndarray, breaches: np.ndarray) -> Region:
    left, top, right, bottom = space.boxes[label]
    window = np.s_[top:bottom, left:right]
    mask = np.pad((space.labels[window] == label).astype(np.uint8), 1)
    rim = ((mask == 1) & (cv2.erode(mask, np.ones((3, 3), np.uint8)) == 0))[1:-1, 1:-1]
    breached = rim & (breaches[window] == 1)
    outer = space.to_outdoors[window][rim & ~breached]
    outer = outer[outer <= CAP_MAX]
    area = int(space.areas[label])
    return Region(
        label,
        space.boxes[label],
        area,
        float(space.clear_widths[label]),
        breached=float(breached.sum() / rim.sum()),
        walled=float(near_wall[window][rim].mean()),
        plain=min(1.0, PLAIN_OUTLINE * math.sqrt(area) / int(rim.sum())),
        outer_thickness=float(np.median(outer)) if len(outer) > 0.1 * rim.sum() else None,
    )
