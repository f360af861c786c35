"""From a labelled region on the sheet to a room in the coordinates of the picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from floorplan.rooms import Region
from floorplan.sheet import Sheet

TOLERANCE = 2.5
"""How far a polygon may run beside the true outline, in sheet pixels."""

HOLE_SHARE_MIN = 0.01
"""Smaller holes (pillars, furniture that looks like wall) belong to the room."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Room:
    """A room in picture pixels (x to the right, y down). `centroid` lies inside the room."""

    polygon: list[Point]
    holes: list[list[Point]]
    bounding_box: tuple[float, float, float, float]
    area_pixels: float
    centroid: Point
    confidence: float


def trace(region: Region, labels: np.ndarray, sheet: Sheet, confidence: float) -> Room:
    """Outline a region; its area is that of the polygon less its holes."""
    mask = _mended(region.mask(labels))
    contours, tree = cv2.findContours(np.pad(mask, 1), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outer = max((i for i in range(len(contours)) if tree[0][i][3] < 0), key=lambda i: cv2.contourArea(contours[i]))
    holes = [
        contours[i]
        for i in range(len(contours))
        if tree[0][i][3] == outer and cv2.contourArea(contours[i]) >= HOLE_SHARE_MIN * region.area
    ]
    offset = np.array([region.box[0] - 1, region.box[1] - 1], float)
    polygon, *hole_polygons = (_to_picture(_simple(c) + offset, sheet) for c in (contours[outer], *holes))
    area = _area(polygon) - sum(_area(hole) for hole in hole_polygons)
    centroid = _to_picture(_middle(mask) + offset + 1, sheet)[0]
    left, top = polygon.min(axis=0)
    right, bottom = polygon.max(axis=0)
    return Room(
        _points(polygon),
        [_points(hole) for hole in hole_polygons],
        tuple(round(float(v), 1) for v in (left, top, right, bottom)),
        round(float(area), 1),
        _points(centroid[None])[0],
        confidence,
    )


def _mended(mask: np.ndarray) -> np.ndarray:
    """Close slits and notches that stray marks cut into a room."""
    mended = cv2.morphologyEx(np.pad(mask, 8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    return np.ascontiguousarray(mended[8:-8, 8:-8])


def _simple(contour: np.ndarray) -> np.ndarray:
    simple = cv2.approxPolyDP(contour, TOLERANCE, True).reshape(-1, 2)
    return (simple if len(simple) >= 3 else contour.reshape(-1, 2)).astype(float)


def _middle(mask: np.ndarray) -> np.ndarray:
    """Centre of gravity (1 x 2) if it lies well inside, else the middle of the largest inner circle."""
    ys, xs = np.nonzero(mask)
    centre = np.array([[xs.mean(), ys.mean()]])
    distance = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    column, row = np.rint(centre[0]).astype(int)
    if distance[row, column] >= 0.25 * distance.max():
        return centre
    return np.array([np.unravel_index(int(distance.argmax()), mask.shape)[::-1]], float)


def _to_picture(points: np.ndarray, sheet: Sheet) -> np.ndarray:
    return points @ sheet.to_picture[:, :2].T + sheet.to_picture[:, 2]


def _area(polygon: np.ndarray) -> float:
    return float(cv2.contourArea(polygon.astype(np.float32)))


def _points(points: np.ndarray) -> list[Point]:
    return [(round(float(x), 1), round(float(y), 1)) for x, y in points]
