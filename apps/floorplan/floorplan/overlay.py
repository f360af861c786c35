"""The annotated picture: rooms tinted in distinct colours, outlined and numbered."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from floorplan.outline import Room

SIDE_MAX = 4096
"""The overlay of a larger picture is reduced to this long side, in pixels."""

SIDE_MIN = 900
"""The overlay of a smaller picture is enlarged to about this long side, so that numbers stay legible."""

TINT = 0.42
FONT = cv2.FONT_HERSHEY_DUPLEX
SHIFT = 4
"""Fractional bits of the coordinates given to OpenCV."""


def draw(rgb: np.ndarray, rooms: list[Room]) -> bytes:
    """Return the overlay as PNG bytes."""
    scale = _scale(max(rgb.shape[:2]))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    canvas = rgb if scale == 1 else cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=method)
    canvas = cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR)
    unit = max(canvas.shape[:2]) / 1000
    contours = [[_fixed(ring, scale) for ring in (room.polygon, *room.holes)] for room in rooms]
    tint = canvas.copy()
    for number, rings in enumerate(contours):
        cv2.fillPoly(tint, rings, _colour(number, 0.55, 1.0), cv2.LINE_AA, SHIFT)
    canvas = cv2.addWeighted(tint, TINT, canvas, 1 - TINT, 0)
    for number, rings in enumerate(contours):
        cv2.polylines(canvas, rings, True, _colour(number, 0.9, 0.72), max(1, round(2.5 * unit)), cv2.LINE_AA, SHIFT)
    for number, room in enumerate(rooms):
        _badge(canvas, room, number, scale, unit)
    encoded, png = cv2.imencode(".png", canvas, [cv2.IMWRITE_PNG_COMPRESSION, 4])
    if not encoded:
        raise RuntimeError("OpenCV could not encode the overlay as PNG.")
    return png.tobytes()


def _badge(canvas: np.ndarray, room: Room, number: int, scale: float, unit: float) -> None:
    """A white disc with the room's number at its centroid, no larger than the room allows."""
    left, top, right, bottom = room.bounding_box
    radius = min(17 * unit, 0.32 * scale * min(right - left, bottom - top))
    radius = max(radius, 8.0)
    centre = tuple(round(value * scale) for value in room.centroid)
    cv2.circle(canvas, centre, round(radius), (255, 255, 255), cv2.FILLED, cv2.LINE_AA)
    cv2.circle(canvas, centre, round(radius), _colour(number, 0.9, 0.72), max(1, round(1.8 * unit)), cv2.LINE_AA)
    text = str(number + 1)
    size = radius / 17 * (0.62 if len(text) < 3 else 0.45)
    weight = max(1, round(radius / 11))
    (width, height), _ = cv2.getTextSize(text, FONT, size, weight)
    at = (round(centre[0] - width / 2), round(centre[1] + height / 2))
    cv2.putText(canvas, text, at, FONT, size, (40, 40, 40), weight, cv2.LINE_AA)


def _colour(number: int, saturation: float, value: float) -> tuple[int, int, int]:
    """BGR; hues step by the golden ratio, so neighbours in the list differ the most."""
    red, green, blue = colorsys.hsv_to_rgb((0.58 + number * 0.61803398875) % 1.0, saturation, value)
    return round(255 * blue), round(255 * green), round(255 * red)


def _fixed(ring: list[tuple[float, float]], scale: float) -> np.ndarray:
    return np.rint(np.array(ring) * scale * (1 << SHIFT)).astype(np.int32).reshape(-1, 1, 2)


def _scale(side: int) -> float:
    if side > SIDE_MAX:
        return SIDE_MAX / side
    return float(max(1, round(SIDE_MIN / side)))
