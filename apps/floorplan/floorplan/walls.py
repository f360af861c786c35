"""Walls, under each of the ways in which people draw them.

Which way a given plan uses is not guessed from its tones: every style proposes a wall mask, the
rooms are found in each, and `plan.py` keeps the reading that explains the drawing best.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from floorplan.morphology import closed, opened
from floorplan.sheet import INK_TONE
from floorplan.space import free_space

SPECK = 10
"""Wall pieces smaller than this in both directions are dirt or letters."""

CAVITY_LENGTH = 2.5
"""A cavity is longer than this many times its width."""


@dataclass(frozen=True)
class Style:
    """One way to draw walls. `trust` weighs readings: solid walls are hardly ever something else."""

    name: str
    trust: float
    draw: Callable[[np.ndarray], np.ndarray]


def styles(tone: np.ndarray, picture_pixel: float) -> Iterator[Style]:
    """All styles that are worth a try on a sheet, solid walls first.

    `picture_pixel` is the size of a pixel of the picture on the sheet. In an enlarged picture even a
    hairline is that wide, and a solid wall must be wider; best it is wider than the pen's lines.
    """
    hairline = max(3, round(1.3 * picture_pixel) + 1)
    pen = pen_width(tone, picture_pixel)
    for darkness, trust in ((0.55, 1.0), (0.75, 0.95), (0.88, 0.78)):
        for thickness in sorted({hairline, pen + 2, pen + 5, pen + 9}):
            worth = trust * (1.0 if thickness > pen + 1 else 0.86)
            yield Style(
                f"filled-{darkness}-{thickness}", worth, partial(filled, darker_than=darkness, thickness=thickness)
            )
    for width in (28, 54):
        yield Style(f"hollow-{width}", 0.90, partial(hollow, width=width))
    yield Style("hatched", 0.85, hatched)
    yield Style("lines", 0.38, lines)


def pen_width(tone: np.ndarray, picture_pixel: float) -> int:
    """Width of the lines that furniture, windows and lettering are drawn with, in sheet pixels.

    Openings of growing size erase ink; the one that erases the most tells the pen (granulometry,
    Matheron 1975). No pen is wider than three pixels of the picture: where nothing is drawn but
    walls, they are not a pen's lines.
    """
    ink = (tone < INK_TONE).astype(np.uint8)
    widest = max(3, round(3.2 * picture_pixel))
    left = [int(ink.sum())] + [int(opened(ink, size, size).sum()) for size in range(2, widest + 2)]
    return 1 + int(np.argmax(-np.diff(left)))


def filled(tone: np.ndarray, darker_than: float, thickness: int) -> np.ndarray:
    """Solid walls: what is dark and survives an opening of `thickness` pixels."""
    ink = (tone < darker_than).astype(np.uint8)
    return without_specks(opened(closed(ink, 3, 3), thickness, thickness), SPECK)


def hollow(tone: np.ndarray, width: int) -> np.ndarray:
    """Double-line walls: strokes, and the long slim cavities of at most `width` between them."""
    strokes = lines(tone)
    space = free_space(strokes)
    slim = (space.clear_widths <= width) & (space.areas > CAVITY_LENGTH * space.clear_widths**2)
    walls = strokes | slim.astype(np.uint8)[space.labels]
    return without_specks(opened(walls, 6, 6), SPECK)


def hatched(tone: np.ndarray) -> np.ndarray:
    """Walls filled with a pattern of strokes, which a closing makes solid."""
    ink = (tone < INK_TONE).astype(np.uint8)
    return without_specks(opened(closed(ink, 11, 11), 13, 13), 2 * SPECK)


def lines(tone: np.ndarray) -> np.ndarray:
    """Single-line walls: every connected stroke that is too big for a letter or a chair."""
    ink = (tone < 0.75).astype(np.uint8)
    return without_specks(closed(ink, 3, 3), 60)


def without_specks(mask: np.ndarray, extent: int) -> np.ndarray:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    keep = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) > extent
    keep[0] = False
    return keep.astype(np.uint8)[labels]
