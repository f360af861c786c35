"""Gaps to outdoors that no opening explains: a window in a slanted wall, a wall drawn with breaks."""

from __future__ import annotations

import cv2
import numpy as np

from floorplan.space import free_space


def leaks_stopped(closed: np.ndarray, leak: float) -> np.ndarray:
    """Close what remains open to outdoors by a gap narrower than `leak` but is wide inside, such as a
    room behind a slanted bay window.

    A disc of that diameter rolls around outdoors; spaces that hold it but that it cannot reach
    are indoors, and the space it sweeps ends where it can go no further.
    """
    outdoors = ((closed == 0) & (free_space(closed).labels == 0)).astype(np.uint8)
    roomy = (cv2.distanceTransform(outdoors, cv2.DIST_L2, 5) > leak / 2).astype(np.uint8)
    _, cores = cv2.connectedComponents(roomy, connectivity=8)
    open_air = np.unique(np.concatenate([cores[0], cores[-1], cores[:, 0], cores[:, -1]]))
    swept = np.isin(cores, open_air) & (roomy == 1)
    if swept.sum() == roomy.sum():
        return closed
    reached = cv2.distanceTransform((~swept).astype(np.uint8), cv2.DIST_L2, 5) <= leak / 2 + 1
    border = reached & (cv2.erode(reached.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    return closed | border.astype(np.uint8)
