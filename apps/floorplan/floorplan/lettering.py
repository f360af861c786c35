"""Lettering and small symbols: ink that stands alone and is too small to be a wall."""

from __future__ import annotations

import cv2
import numpy as np

from floorplan.morphology import components, extents, grown
from floorplan.sheet import INK_TONE

LETTER_MAX = 46
"""Largest letter, number or chair part, in sheet pixels."""

LETTER_TONE = 0.6

SOLID_THICKNESS_MIN = 8
"""Thicker solid blocks standing alone may be wall stubs between two doors."""


BLOCK_MAX = 280
"""Largest block of words that a coarse scan blots together."""


def without_lettering(tone: np.ndarray) -> np.ndarray:
    """Return the tones with stand-alone small marks painted over with paper.

    Letters are looked for in the darkest ink, where they hang together least; but a mark is only
    painted over when all ink around it is also too small to be a wall. A solid bar ("I", "1", a
    short wall) is a letter only if it stands beside another one.
    """
    dark = (tone < LETTER_TONE).astype(np.uint8)
    labels, stats = components(dark)
    letters = _letters(labels, stats) & _in_small_blocks(labels, len(stats), tone)
    halo = grown(letters.astype(np.uint8)[labels], 3)
    clean = tone.copy()
    clean[(halo == 1) & ((labels == 0) | letters[labels])] = 1.0
    return clean


def _letters(labels: np.ndarray, stats: np.ndarray) -> np.ndarray:
    """Which components are letters or words by their own shape; index = label."""
    width, height, area = (stats[:, i] for i in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA))
    longer, shorter = np.maximum(width, height), np.minimum(width, height)
    word = (longer <= 3 * LETTER_MAX) & (shorter <= LETTER_MAX) & (shorter >= 10) & (area < 0.55 * width * height)
    small = (longer <= LETTER_MAX) | word
    small[0] = False
    solid = (area >= 0.75 * width * height) & (longer >= 6)
    beside = cv2.dilate((small & ~solid).astype(np.uint8)[labels], np.ones((9, 17), np.uint8))
    neighbours = np.zeros(len(stats), bool)
    neighbours[np.unique(labels[beside == 1])] = True
    return small & (~solid | ((shorter < SOLID_THICKNESS_MIN) & neighbours))


def _in_small_blocks(labels: np.ndarray, count: int, tone: np.ndarray) -> np.ndarray:
    """Which components lie in a block of ink (faint ink included) no larger than `BLOCK_MAX`."""
    blocks, stats = components((tone < INK_TONE).astype(np.uint8))
    small = extents(stats) <= BLOCK_MAX
    result = np.zeros(count, bool)
    inside = labels > 0
    result[labels[inside]] = small[blocks[inside]]
    return result
