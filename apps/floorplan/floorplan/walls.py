"""Walls, under each of the ways in which people draw them.

Which way a given plan uses is not guessed from its tones: every style proposes a wall mask, the
rooms are found in each, and `plan.py` keeps the reading that explains the drawing best.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from floorplan.morphology import closed, components, extents, opened
from floorplan.sheet import INK_TONE
from floorplan.space import free_space

SPECK = 10
"""Wall pieces smaller than this in both directions are dirt or letters."""

CAVITIES = ((28, 2.5), (54, 2.5), (84, 4.0))
"""How wide the cavities of hollow walls may be, and how many times as long as wide they are at least."""


CELL = 13
"""Widest cell between the strokes of a hatching."""


@dataclass(frozen=True)
class Style:
    """One way to draw walls. `trust` weighs readings: solid walls are hardly ever something else."""

    name: str
    trust: float
    draw: Callable[[np.ndarray], np.ndarray]


def styles(pen: int, picture_pixel: float) -> Iterator[Style]:
    """All styles that are worth a try on a sheet whose lines are `pen` pixels wide, solid walls first.

    `picture_pixel` is the size of a pixel of the picture on the sheet. In an enlarged picture even a
    hairline is that wide, and a solid wall must be wider; best it is wider than the pen's lines.
    """
    hairline = max(3, round(1.3 * picture_pixel) + 1)
    for darkness, trust in ((0.55, 1.0), (0.75, 0.95), (0.88, 0.78)):
        for thickness in sorted({hairline, pen + 2, pen + 5, pen + 9}):
            worth = trust * (1.0 if thickness > pen + 1 else 0.86)
            yield Style(
                f"filled-{darkness}-{thickness}", worth, partial(filled, darker_than=darkness, thickness=thickness)
            )
    for width, slenderness in CAVITIES:
        yield Style(f"hollow-{width}", 0.90, partial(hollow, width=width, slenderness=slenderness))
    yield Style("hatched", 0.88, partial(hatched, thickness=max(7, pen + 4)))
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
    return max(2, 1 + int(np.argmax(-np.diff(left))))


def filled(tone: np.ndarray, darker_than: float, thickness: int) -> np.ndarray:
    """Solid walls: what is dark and survives an opening of `thickness` pixels."""
    ink = (tone < darker_than).astype(np.uint8)
    return without_specks(opened(closed(ink, 3, 3), thickness, thickness), SPECK)


def hollow(tone: np.ndarray, width: int, slenderness: float) -> np.ndarray:
    """Double-line walls: strokes, and the long slim cavities of at most `width` between them."""
    strokes = lines(tone)
    space = free_space(strokes)
    slim = (space.clear_widths <= width) & (space.areas > slenderness * space.clear_widths**2)
    walls = strokes | slim.astype(np.uint8)[space.labels]
    return without_specks(opened(walls, 6, 6), SPECK)


def hatched(tone: np.ndarray, thickness: int) -> np.ndarray:
    """Walls filled with a pattern of strokes: the strokes and the small cells between them."""
    ink = (tone < INK_TONE).astype(np.uint8)
    space = free_space(ink)
    cells = ((space.clear_widths <= CELL) & (space.areas > 0)).astype(np.uint8)[space.labels]
    return without_specks(opened(closed(ink | cells, 3, 3), thickness, thickness), 2 * SPECK)


def lines(tone: np.ndarray) -> np.ndarray:
    """Single-line walls: every connected stroke that is too big for a letter or a chair."""
    ink = (tone < 0.75).astype(np.uint8)
    return without_specks(closed(ink, 3, 3), 60)


def without_specks(mask: np.ndarray, extent: int) -> np.ndarray:
    labels, stats = components(mask)
    keep = extents(stats) > extent
    keep[0] = False
    return keep.astype(np.uint8)[labels]
