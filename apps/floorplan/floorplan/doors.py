"""Openings in walls: where a wall ends and another begins across a door or a window.

A wall's end is a short edge of the wall mask (a cap). From each cap a strip as wide as the wall
looks ahead until it meets a wall. What lies in the strip (window lines, the arc of a door's swing,
nothing) and what it meets (another cap, or a wall's side) decide how far it may look.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from floorplan.morphology import components, extents, grown, opened

CAP_MIN, CAP_MAX = 3, 115
"""Thickness of a wall at its end, in sheet pixels."""

BAR_LENGTH = 24
"""A straight piece of wall at least this long points across an opening even where it ends in a corner."""

JAMB = 8
"""How far a door's frame may stick out from a wall's end."""

PIECE_MIN = 60
"""A smaller piece of wall (a letter, a tap) has ends only where another end faces them."""

REACH_MAX = 420
DOOR_WIDTH = (24, 170)
"""Shortest and longest plausible door, in sheet pixels: a mansion's and a one-room flat's."""

STROKE_MAX, STROKE_MAX_PICTURE = 7, 5.0
"""Thicker ink (filled furniture) is no door's line: in pixels of the sheet, and of the
picture where that is more."""

SWING_MAX = 280
"""Widest opening that a drawn door (or a pair of doors) can vouch for."""


@dataclass(frozen=True)
class Opening:
    """A rectangle (half-open, sheet pixels) that would close the gap between two walls.

    `along` is the axis of the wall ("x" or "y"); `facing`: the strip meets another wall's end;
    `lined`: share of its length over which a line runs along it (a window, a threshold);
    `swing`: share of an open door (leaf and quarter circle) that is drawn.
    """

    left: int
    top: int
    right: int
    bottom: int
    along: str
    facing: bool
    lined: float
    swing: float

    @property
    def length(self) -> int:
        return self.right - self.left if self.along == "x" else self.bottom - self.top

    @property
    def is_window(self) -> bool:
        """Lines run along it from wall end to wall end."""
        return self.facing and self.lined > 0.85

    @property
    def is_door(self) -> bool:
        """An open door is drawn in it."""
        return self.swing > 0.6

    @property
    def is_drawn(self) -> bool:
        return self.is_window or self.is_door

    @property
    def thickness(self) -> int:
        return self.bottom - self.top if self.along == "x" else self.right - self.left


def openings(walls: np.ndarray, ink: np.ndarray, picture_pixel: float) -> list[Opening]:
    """Every plausible opening between walls, duplicates (seen from both ends) removed."""
    stroke_max = max(STROKE_MAX, round(STROKE_MAX_PICTURE * picture_pixel))
    found: dict[Box, Opening] = {}
    free_ink = ink & ~grown(walls, 2)
    strokes = free_ink & ~grown(opened(ink, stroke_max, stroke_max), 1)
    masks = (walls, _piece_extents(walls), free_ink, grown(strokes, 2))
    views = list(_views(masks))
    ends = [_ends(walls_) for _, _, (walls_, *_) in views]
    for view, (along, back, (walls_, pieces, lines, near_ink)) in enumerate(views):
        for box, facing, corner in _look_ahead(walls_, pieces, ends[view], ends[view ^ 1]):
            opening = Opening(*back(box), along, facing, _lined(lines, box), _swing(near_ink, box))
            if corner and not facing and opening.swing < 0.75:
                continue  # walls turn for many reasons; one needs a drawn door to make a doorway
            if opening.length <= reach(opening):
                found[opening.left, opening.top, opening.right, opening.bottom] = opening
    return sorted(found.values(), key=lambda o: (o.length, o.left, o.top))


def reach(opening: Opening) -> float:
    """How long an opening may be, given what is drawn in it."""
    if opening.is_window:
        return REACH_MAX
    if opening.is_door:
        return SWING_MAX
    return DOOR_WIDTH[1] if opening.facing else 0.75 * DOOR_WIDTH[1]


def close(walls: np.ndarray, chosen: list[Opening]) -> np.ndarray:
    """The walls with the chosen openings filled."""
    closed = walls.copy()
    for o in chosen:
        closed[o.top : o.bottom, o.left : o.right] = 1
    return closed


Box = tuple[int, int, int, int]


def _views(masks: tuple[np.ndarray, ...]) -> Iterator[tuple]:
    """The masks turned so that "ahead" is to the right, led by the axis and the way back for a box; each
    view is followed or led by its mirror image."""
    height, width = masks[0].shape
    turns = (
        ("x", lambda b: b, lambda m: m),
        ("x", lambda b: (width - b[2], b[1], width - b[0], b[3]), lambda m: cv2.flip(m, 1)),
        ("y", lambda b: (b[1], b[0], b[3], b[2]), cv2.transpose),
        ("y", lambda b: (b[1], height - b[2], b[3], height - b[0]), lambda m: cv2.flip(cv2.transpose(m), 1)),
    )
    for along, back, turn in turns:
        yield along, back, tuple(turn(mask) for mask in masks)


def _look_ahead(
    walls: np.ndarray, pieces: np.ndarray, ends: list[Box], mirrored: list[Box]
) -> Iterator[tuple[Box, bool, bool]]:
    """From each right-facing wall end: the box up to the next wall, whether another end (of those in
    the mirror image) is met there, and whether the end is a corner (the wall turns where the opening
    begins)."""
    met = np.zeros(walls.shape, bool)
    for left, top, right, bottom in mirrored:
        met[top:bottom, walls.shape[1] - 1 - right : walls.shape[1] - left] = True
    for left, top, right, bottom in ends:
        ahead = walls[top:bottom, right + 1 : right + 1 + REACH_MAX].mean(axis=0)
        hits = np.flatnonzero(ahead >= 0.4)
        hits = hits[hits >= JAMB]
        if not len(hits):
            continue
        end = right + 1 + int(hits[0])
        if not _hugs_wall(walls, (left + 1, top, end, bottom)):
            facing = met[top:bottom, max(0, end - 4) : end + 5].any(axis=1).mean() > 0.5
            if not facing and pieces[top:bottom, left].max() < PIECE_MIN:
                continue
            yield (left + 1, top, end, bottom), bool(facing), _turns(walls, (left, top, right, bottom))


def _ends(walls: np.ndarray) -> list[Box]:
    """Right-facing ends of walls: of straight bars (free of jambs and other trim), then of stubs too
    short for a bar."""
    bars = opened(walls, BAR_LENGTH, 1)
    found: list[Box] = []
    taken = np.zeros(walls.shape, bool)
    for mask in (bars, walls):
        for left, top, right, bottom in _caps(mask):
            if not taken[top:bottom, max(0, left - JAMB) : right + JAMB].any():
                taken[top:bottom, left : right + 1] = True
                found.append((left, top, right, bottom))
    return found


def _piece_extents(walls: np.ndarray) -> np.ndarray:
    """For every pixel of wall the extent of the connected piece that it belongs to."""
    labels, stats = components(walls)
    sizes = extents(stats)
    sizes[0] = 0
    return sizes[labels]


def _turns(walls: np.ndarray, end: Box) -> bool:
    """Whether the wall goes on sideways from its end, beyond what a jamb sticks out."""
    left, top, right, bottom = end
    columns = slice(max(0, left - max(3, bottom - top)), right + 1)
    beside = (
        walls[max(0, top - JAMB - 6) : max(0, top - JAMB), columns],
        walls[bottom + JAMB : bottom + JAMB + 6, columns],
    )
    return any(bool(piece.any()) for piece in beside)


def _hugs_wall(walls: np.ndarray, box: Box) -> bool:
    """Whether a strip runs along a wall's face: then the cap was a step in that wall, not its end."""
    left, top, right, bottom = box
    beside = (walls[max(0, top - 3), left:right], walls[min(len(walls) - 1, bottom + 2), left:right])
    return any(row.mean() > 0.5 for row in beside)


def _caps(mask: np.ndarray) -> Iterator[Box]:
    """Right-facing ends of bars: short vertical edges (a few pixels of jitter allowed) with a piece
    of bar behind them that is at least half as long as the edge."""
    edge = mask.copy()
    edge[:, :-1] &= 1 - mask[:, 1:]
    joined = cv2.dilate(edge, np.ones((1, 5), np.uint8))
    contours, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for left, top, width, height in map(cv2.boundingRect, contours):
        left, right, bottom = left + 2, left + width - 3, top + height
        if not CAP_MIN <= height <= CAP_MAX or right - left > max(4, 0.6 * height):
            continue
        depth = max(3, height // 2)
        if mask[top:bottom, max(0, left - depth) : left].mean() >= 0.8:
            yield left, top, right, bottom


def _lined(ink: np.ndarray, box: Box) -> float:
    left, top, right, bottom = box
    strip = ink[max(0, top - 2) : bottom + 2, left:right]
    if strip.shape[1] < 3:
        return 0.0
    thick = cv2.dilate(strip, np.ones((3, 1), np.uint8))
    return float(thick.mean(axis=1).max())


def _door_curves() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points (doors x 24) of a door that stands open at a right angle, in units of its opening: x along
    the wall from the hinge's jamb, y away from the wall; first the arc of its tip, then its leaf.
    The leaf may be one of two, and jambs may make it shorter."""
    doors = [(inset, leaf) for inset in (0.0, 0.06) for leaf in (0.44, 0.5, 0.86, 0.93, 1.0)]
    angles, steps = np.radians(np.linspace(12, 78, 24)), np.linspace(0.15, 0.9, 24)
    return (
        np.array([inset + leaf * np.cos(angles) for inset, leaf in doors]),
        np.array([leaf * np.sin(angles) for _, leaf in doors]),
        np.array([np.full(24, inset) for inset, _ in doors]),
        np.array([leaf * steps for _, leaf in doors]),
    )


DOOR_CURVES = _door_curves()


def _swing(near_ink: np.ndarray, box: Box) -> float:
    """Drawn share of the best door that the box can hold: the lesser of its arc's and its leaf's."""
    left, top, right, bottom = box
    width = right - left
    if not DOOR_WIDTH[0] <= width <= SWING_MAX:
        return 0.0
    arc_x, arc_y, leaf_x, leaf_y = (np.rint(curve * width).astype(int) for curve in DOOR_CURVES)
    best = 0.0
    for hinge, towards in ((left, 1), (right - 1, -1)):
        for level, side in ((top, -1), (bottom - 1, 1)):
            if _crowded(near_ink, hinge, towards * width, level, side * width):
                continue
            arc = _drawn(near_ink, hinge + towards * arc_x, level + side * arc_y)
            leaf = _drawn(near_ink, hinge + towards * leaf_x, level + side * leaf_y)
            best = max(best, float(np.minimum(arc, leaf).max()))
    return best


def _crowded(near_ink: np.ndarray, x: int, dx: int, y: int, dy: int) -> bool:
    """Whether tiles or hatching fill the square that a door would swing over: any curve would match."""
    rows, columns = sorted((y, y + dy)), sorted((x, x + dx))
    square = near_ink[max(0, rows[0]) : rows[1], max(0, columns[0]) : columns[1]]
    return square.size > 0 and float(square.mean()) > 0.45


def _drawn(near_ink: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Share of drawn points, row by row."""
    height, width = near_ink.shape
    inside = (xs >= 0) & (ys >= 0) & (xs < width) & (ys < height)
    return (near_ink[np.clip(ys, 0, height - 1), np.clip(xs, 0, width - 1)] * inside).mean(axis=1)
