"""Gaps to outdoors that no opening explains: a window in a slanted wall, a wall drawn with breaks."""

from __future__ import annotations

import cv2
import numpy as np

from floorplan.morphology import components
from floorplan.space import Space, free_space


COARSE = 4


def leaks_stopped(closed: np.ndarray, leak: float) -> Space:
    """The free space, with what remains open to outdoors by a gap narrower than `leak` but is wide inside, such as a
    room behind a slanted bay window, closed off.

    A disc of that diameter rolls around outdoors; spaces that hold it but that it cannot reach
    are indoors, and the space it sweeps ends where it can go no further.
    """
    space = free_space(closed)
    if not _leaks(space.outdoors, leak):
        return space
    roomy = (cv2.distanceTransform(space.outdoors, cv2.DIST_L2, 5) > leak / 2).astype(np.uint8)
    cores, stats = components(roomy)
    open_air = np.zeros(len(stats), bool)
    for border in (cores[0], cores[-1], cores[:, 0], cores[:, -1]):
        open_air[border] = True
    open_air[0] = False
    swept = open_air[cores]
    reached = cv2.distanceTransform((~swept).astype(np.uint8), cv2.DIST_L2, 5) <= leak / 2 + 1
    border = reached & (cv2.erode(reached.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    return free_space(closed | border.astype(np.uint8))


def _leaks(outdoors: np.ndarray, leak: float) -> bool:
    """Whether the disc fits anywhere that it cannot reach from the border, judged on a coarse copy."""
    coarse = cv2.resize(outdoors, None, fx=1 / COARSE, fy=1 / COARSE, interpolation=cv2.INTER_NEAREST)
    roomy = cv2.distanceTransform(np.ascontiguousarray(coarse), cv2.DIST_L2, 5) > leak / 2 / COARSE
    labels, stats = components(roomy.astype(np.uint8))
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return len(stats) > len(np.unique(border[border > 0])) + 1
