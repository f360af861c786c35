"""Free space: the connected regions that walls leave, and which of them are outdoors."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Space:
    """What is not wall, labelled by connected region; label 0 is wall and all that is outdoors.

    `to_outdoors` is every pixel's distance from outdoors.
    """

    labels: np.ndarray
    areas: np.ndarray
    boxes: list[tuple[int, int, int, int]]
    clear_widths: np.ndarray
    to_outdoors: np.ndarray


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
    to_outdoors = cv2.distanceTransform(((labels > 0) | (free == 0)).astype(np.uint8), cv2.DIST_L2, 3)
    return Space(labels, areas, boxes, _clear_widths(labels, len(stats)), to_outdoors)


def _clear_widths(labels: np.ndarray, count: int) -> np.ndarray:
    """Diameter of the largest circle inside each region; infinite outdoors."""
    distance = cv2.distanceTransform((labels > 0).astype(np.uint8), cv2.DIST_L2, 3)
    peaks = np.flatnonzero((distance > 1) & (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8))))
    widths = np.full(count, 2.0)
    np.maximum.at(widths, labels.ravel()[peaks], 2 * distance.ravel()[peaks])
    widths[0] = np.inf
    return widths
