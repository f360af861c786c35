"""The algorithm, top to bottom: picture -> sheet -> walls -> openings -> rooms.

A plan may be drawn in many styles, so it is read in each of them and the reading that explains the
most is kept. A room that other readings find too deserves more confidence.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from floorplan.doors import Opening, openings
from floorplan.lettering import without_lettering
from floorplan.outline import Room, trace
from floorplan.rooms import Region, enclose
from floorplan.sheet import FAINT_TONE, lay
from floorplan.walls import Style, styles

READERS = 2
"""Readings made side by side; OpenCV and numpy work outside the interpreter's lock."""

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

    @property
    def score(self) -> float:
        """Enclosed area, in full only for plain shapes enclosed by walls (not plain gaps); weighed by
        trust and by how much structure it explains: the effective number of rooms (exponential of
        the entropy of their areas), which small cells hardly raise. A crowd of crumbs counts
        against it: that is what tiles and furniture look like.
        """
        if not self.regions:
            return 0.0
        enclosed = np.array([r.area * r.walled**2 * r.plain for r in self.regions])
        shares = np.maximum(enclosed / max(enclosed.sum(), 1e-9), 1e-12)
        rooms_effective = math.exp(-float((shares * np.log(shares)).sum()))
        crumbs = float(np.mean([r.area < CRUMB_SHARE * enclosed.sum() for r in self.regions]))
        return self.style.trust * float(enclosed.sum()) * rooms_effective**0.3 * (1 - 0.5 * crumbs)


def find_rooms(rgb: np.ndarray) -> list[Room]:
    """Return the rooms of a floor plan (uint8 RGB), in reading order: row by row, left to right."""
    sheet = lay(rgb)
    tone = without_lettering(sheet.tone)
    with ThreadPoolExecutor(READERS) as pool:
        readings = list(pool.map(lambda style: read(style, tone, sheet.picture_pixel), styles(sheet.picture_pixel)))
    best = max(readings, key=lambda reading: reading.score)
    others = [reading for reading in readings if reading is not best and reading.score > 0.3 * best.score]
    rooms = [trace(region, best.labels, sheet, _confidence(region, best, others)) for region in best.regions]
    row = max(rgb.shape[0] / 12, 1)
    return sorted(rooms, key=lambda room: (int(room.centroid[1] / row), room.centroid[0]))


def read(style: Style, tone: np.ndarray, picture_pixel: float) -> Reading:
    """Read the drawing as if its walls were drawn in this style."""
    walls = style.draw(tone)
    found = openings(walls, (tone < FAINT_TONE).astype(np.uint8), picture_pixel)
    labels, regions, bounding = enclose(walls, found)
    return Reading(style, walls, bounding, labels, regions)


def _confidence(region: Region, best: Reading, others: list[Reading]) -> float:
    """0..1: how well walls enclose the room, how plain it is, how many other readings agree."""
    support = region.walled * math.sqrt(region.plain)
    weights = [other.score for other in others]
    agreeing = [other.score for other in others if _agrees(region, best, other)]
    agreement = (sum(agreeing) + 0.5 * best.score) / (sum(weights) + 0.5 * best.score)
    return round(min(1.0, support * (0.4 + 0.6 * math.sqrt(agreement))), 3)


def _agrees(region: Region, best: Reading, other: Reading) -> bool:
    """Whether the other reading has a region that overlaps this one by IoU 0.7 or more."""
    left, top, right, bottom = region.box
    mask = region.mask(best.labels) == 1
    counts = np.bincount(other.labels[top:bottom, left:right][mask])
    counts[0] = 0
    label = int(counts.argmax())
    area = next((r.area for r in other.regions if r.label == label), 0)
    return bool(area) and counts[label] >= 0.7 * (region.area + area - counts[label])
