"""Free space: the connected regions that walls leave, and which of them are outdoors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from floorplan.morphology import components


@dataclass(frozen=True)
class Space:
    """What is not wall, labelled by connected region; label 0 is wall and all that is outdoors."""

    free: np.ndarray
    labels: np.ndarray
    areas: np.ndarray
    boxes: list[tuple[int, int, int, int]]
    clear_widths: np.ndarray

    @property
    def outdoors(self) -> np.ndarray:
        """1 where there is neither wall nor region."""
        return self.free & (self.labels == 0).astype(np.uint8)

    @cached_property
    def to_outdoors(self) -> np.ndarray:
        """Every pixel's distance from outdoors."""
        return cv2.distanceTransform(1 - self.outdoors, cv2.DIST_L2, 3)


def free_space(closed: np.ndarray) -> Space:
    """Label the free space; what is connected to the sheet's border is outdoors."""
    free = _parted_at_corners(1 - closed)
    labels, stats = components(free)
    outdoors = np.zeros(len(stats), bool)
    outdoors[0] = True  # not outdoors but wall: neither is a region
    for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outdoors[border] = True
    names = np.arange(len(stats), dtype=np.int32)
    names[outdoors] = 0
    labels = names[labels]
    areas = np.where(outdoors, 0, stats[:, cv2.CC_STAT_AREA])
    boxes = [(left, top, left + width, top + height) for left, top, width, height, _ in stats.tolist()]
    return Space(free, labels, areas, boxes, _clear_widths(labels, len(stats)))


def _parted_at_corners(free: np.ndarray) -> np.ndarray:
    """Take away a pixel wherever two regions touch at a corner only: a slanted hairline parts them."""
    parted = free.copy()
    blocked = 1 - free
    parted[1:, 1:] &= 1 - (free[:-1, :-1] & blocked[:-1, 1:] & blocked[1:, :-1])
    parted[1:, :-1] &= 1 - (free[:-1, 1:] & blocked[:-1, :-1] & blocked[1:, 1:])
    return parted


def _clear_widths(labels: np.ndarray, count: int) -> np.ndarray:
    """Diameter of the largest circle inside each region; infinite outdoors."""
    distance = cv2.distanceTransform((labels > 0).astype(np.uint8), cv2.DIST_L2, 3)
    peaks = np.flatnonzero((distance > 1) & (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8))))
    widths = np.full(count, 2.0)
    np.maximum.at(widths, labels.ravel()[peaks], 2 * distance.ravel()[peaks])
    widths[0] = np.inf
    return widths
