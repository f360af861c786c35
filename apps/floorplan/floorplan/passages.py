"""Which openings part rooms, and which are passages within one open space."""

from __future__ import annotations

import numpy as np

from floorplan.doors import Opening, close
from floorplan.space import free_space

NARROW = 0.5
"""What is narrower than this many door widths is no space of its own."""


def without_passages(walls: np.ndarray, found: list[Opening], door: float) -> list[Opening]:
    """Drop openings that only divide one open space: too wide for the spaces they would divide.

    The weakest are judged first; what a dropped opening had divided is one space from then on.
    """
    space = free_space(close(walls, found))
    width = space.clear_widths.tolist()
    parent = list(range(len(width)))

    def whole(label: int) -> int:
        while parent[label] != label:
            label = parent[label]
        return label

    kept = []
    for opening in sorted(found, key=lambda o: (_doubt(o, door), o.length), reverse=True):
        a, b = (whole(label) for label in sides(space.labels, opening))
        if a and b and a != b and _is_passage(opening, door, min(width[a], width[b])):
            parent[b] = a
            width[a] = max(width[a], width[b])
        elif a != b:
            kept.append(opening)
    return [o for o in kept if len({whole(label) for label in sides(space.labels, o)}) == 2]


def _is_passage(opening: Opening, door: float, narrower_side: float) -> bool:
    if narrower_side < NARROW * door:
        return True
    if opening.is_window:
        return False
    return _doubt(opening, door) > 1.0 or opening.length > 0.95 * narrower_side and _doubt(opening, door) > 0.6


def _doubt(opening: Opening, door: float) -> float:
    """Length of an opening in units of what its evidence allows; above 1 it is rather a passage."""
    allowed = door * (1.7 if opening.facing else 1.25)
    if opening.is_door:
        allowed = door * 2.6
    if opening.is_window:
        allowed = door * 3.0
    return opening.length / allowed


def door_width(found: list[Opening]) -> float:
    """The plan's own door width: from doors drawn with their swing, else from plain gaps."""
    swings = [o.length for o in found if o.swing > 0.7]
    plain = [o.length for o in found if o.facing and o.lined < 0.5 and o.length >= 20]
    for lengths in (swings, plain):
        if len(lengths) >= 3:
            return float(np.clip(np.median(lengths), 30, 150))
    return float(np.clip(np.median(plain), 75, 130)) if plain else 75.0


def sides(labels: np.ndarray, opening: Opening) -> tuple[int, int]:
    """The regions on both long sides of an opening (0: outside or wall)."""
    o, off = opening, 3
    if o.along == "x":
        one, other = (
            labels[max(0, o.top - off), o.left : o.right],
            labels[min(len(labels) - 1, o.bottom + off - 1), o.left : o.right],
        )
    else:
        one, other = (
            labels[o.top : o.bottom, max(0, o.left - off)],
            labels[o.top : o.bottom, min(labels.shape[1] - 1, o.right + off - 1)],
        )
    return _most_common(one), _most_common(other)


def _most_common(labels: np.ndarray) -> int:
    return int(np.bincount(labels).argmax()) if len(labels) else 0
