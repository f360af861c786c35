"""The algorithm, top to bottom: picture -> sheet -> walls -> openings -> rooms.

A plan may be drawn in many styles, so it is read in each of them and the reading that explains the
most is kept. A room that other readings find too deserves more confidence.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from floorplan.doors import Opening, openings
from floorplan.lettering import without_lettering
from floorplan.morphology import components, grown
from floorplan.outline import Room, trace
from floorplan.rooms import Region, enclose
from floorplan.sheet import FAINT_TONE, Sheet, lay
from floorplan.walls import Style, pen_width, styles

READERS = 2
"""Readings made side by side; OpenCV and numpy work outside the interpreter's lock."""

READINGS_MAX = 9
"""No drawing is read in more styles than this."""

SAME_WALLS = 0.93
"""Intersection over union from which two wall masks count as the same."""

SAMPLING = 4
"""Regions are compared at every fourth pixel of the sheet in both directions."""

COARSE, GAP, PROMISE = 4, 130, 0.5
"""Walls are worth reading if, all gaps up to `GAP` sheet pixels closed, they enclose this share of the
most that any style's walls enclose; judged at every fourth pixel."""

SOLID_PENS, SOLIDITY_MIN = 3.0, 0.3
"""Walls this many times as thick as the pen's lines are trusted in full, mere lines by this share."""

CRUMB_SHARE = 0.008
"""Regions below this share of the enclosed area are crumbs: possible rooms, poor evidence."""


@dataclass(frozen=True)
class Reading:
    """What one wall style makes of a drawing."""

    style: Style
    walls: np.ndarray
    openings: list[Opening]
    labels: np.ndarray
    regions: list[Region]
    solidity: float

    def score(self, agreement: list[float]) -> float:
        """Enclosed area, in full only for plain shapes enclosed by walls (not plain gaps) that other
        readings agree on; weighed by trust and by how much structure it explains: the effective
        number of rooms (exponential of the entropy of their areas), which small cells hardly raise.
        A crowd of crumbs counts against it: that is what tiles and furniture look like.
        """
        if not self.regions:
            return 0.0
        enclosed = np.array([r.area * r.walled**2 * r.plain for r in self.regions])
        enclosed *= 0.6 + 0.4 * np.array(agreement)
        shares = np.maximum(enclosed / max(enclosed.sum(), 1e-9), 1e-12)
        rooms_effective = math.exp(-float((shares * np.log(shares)).sum()))
        crumbs = float(np.mean([r.area < CRUMB_SHARE * enclosed.sum() for r in self.regions]))
        return self.style.trust * self.solidity**2 * float(enclosed.sum()) * rooms_effective**0.2 * (1 - 0.5 * crumbs)


def find_rooms(rgb: np.ndarray) -> list[Room]:
    """Return the rooms of a floor plan (uint8 RGB), in reading order: row by row, left to right."""
    sheet = lay(rgb)
    readings = read_all(sheet)
    if not readings:
        return []
    best, shares = choose(readings)
    rooms = [
        trace(region, best.labels, sheet, _confidence(region, share)) for region, share in zip(best.regions, shares)
    ]
    row = max(rgb.shape[0] / 12, 1)
    return sorted(rooms, key=lambda room: (int(room.centroid[1] / row), room.centroid[0]))


def read_all(sheet: Sheet) -> list[Reading]:
    """Read the sheet in every style; of styles that come to the same walls, in the most trusted."""
    tone = without_lettering(sheet.tone)
    pen = pen_width(tone, sheet.picture_pixel)
    proposals: list[tuple[Style, np.ndarray]] = []
    for style in sorted(styles(pen, sheet.picture_pixel), key=lambda style: -style.trust):
        walls = style.draw(tone)
        if walls.any() and not any(_same(walls, known) for _, known in proposals):
            proposals.append((style, walls))
    lines = (tone < FAINT_TONE).astype(np.uint8)
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda p: read(*p, lines, sheet.picture_pixel, pen), _promising(proposals)))


def read(style: Style, walls: np.ndarray, lines: np.ndarray, picture_pixel: float, pen: int) -> Reading:
    """Find what these walls enclose; `lines` is all ink, faint lines included."""
    found = openings(walls, lines, picture_pixel)
    labels, regions, bounding, thickness = enclose(walls, found, pen)
    solidity = float(np.clip(thickness / (SOLID_PENS * pen), SOLIDITY_MIN, 1.0))
    return Reading(style, walls, bounding, labels, regions, solidity)


def _promising(proposals: list[tuple[Style, np.ndarray]]) -> list[tuple[Style, np.ndarray]]:
    """The styles whose walls could enclose anything to speak of, were all their gaps closed; the most
    promising first, `READINGS_MAX` at most."""
    enclosed = [_enclosable(walls) for _, walls in proposals]
    ranked = sorted(range(len(proposals)), key=lambda i: -proposals[i][0].trust * enclosed[i])
    return [proposals[i] for i in ranked[:READINGS_MAX] if enclosed[i] >= PROMISE * max(enclosed)]


def _enclosable(walls: np.ndarray) -> int:
    """Pixels (of a coarse copy) that would be walls or indoors if gaps of up to a door were closed."""
    coarse = cv2.dilate(walls, np.ones((COARSE, COARSE), np.uint8))[::COARSE, ::COARSE]
    shut = np.pad(grown(np.ascontiguousarray(coarse), GAP // 2 // COARSE), 1)
    labels, _ = components(1 - shut)
    return int((labels != labels[0, 0]).sum())


def _same(walls: np.ndarray, others: np.ndarray) -> bool:
    walls, others = walls[::2, ::2], others[::2, ::2]
    return int((walls & others).sum()) >= SAME_WALLS * int((walls | others).sum())


def choose(readings: list[Reading]) -> tuple[Reading, list[float]]:
    """The best reading, and for each of its regions how far the other readings agree (0..1)."""
    agreements = [agreement(reading, readings) for reading in readings]
    best = max(range(len(readings)), key=lambda i: readings[i].score(agreements[i]))
    return readings[best], agreements[best]


def agreement(reading: Reading, readings: list[Reading]) -> list[float]:
    """For each region the share, by trust, of the other readings with any rooms that have it too."""
    others = [other for other in readings if other is not reading and other.regions]
    trust = sum(other.style.trust for other in others)
    return [
        sum(other.style.trust for other in others if _has(other, region, reading)) / max(trust, 1e-9)
        for region in reading.regions
    ]


def _has(other: Reading, region: Region, reading: Reading) -> bool:
    """Whether the other reading has a region that overlaps this one by IoU 0.7 or more."""
    left, top, right, bottom = region.box
    window = np.s_[top:bottom:SAMPLING, left:right:SAMPLING]
    inside = reading.labels[window] == region.label
    counts = np.bincount(other.labels[window][inside], minlength=1)
    counts[0] = 0
    label = int(counts.argmax())
    area = next((r.area for r in other.regions if r.label == label), 0)
    shared = float(counts[label]) / max(int(inside.sum()), 1) * region.area
    return bool(area) and shared >= 0.7 * (region.area + area - shared)


def _confidence(region: Region, agreement: float) -> float:
    """0..1: how well walls enclose the room, how plain it is, how many other readings agree."""
    return round(min(1.0, region.walled * math.sqrt(region.plain) * (0.35 + 0.65 * math.sqrt(agreement))), 3)
