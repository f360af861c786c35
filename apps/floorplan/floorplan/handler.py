"""What a server calls: one method per task, from a file to a JSON-able answer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2

from floorplan.errors import InputError
from floorplan.outline import Room
from floorplan.overlay import draw
from floorplan.picture import load
from floorplan.plan import find_rooms

# Two readings run side by side already (plan.READERS); threads within them would only wait.
cv2.setNumThreads(1)


class FloorPlan:
    """Rooms of a floor plan. Stateless; one instance may serve any number of calls."""

    def __init__(self, context: object | None = None) -> None:
        """`context` is whatever the server passes; there are no weights to load."""

    def find_rooms(self, image: Path, metres_per_pixel: float | None = None) -> dict[str, Any]:
        """Return the answer described by schemas/rooms.json; `overlay` holds PNG bytes.

        Coordinates are pixels of the upright picture (EXIF orientation applied). Raises
        `InputError` (error_type, field, message) for a file or a scale that cannot be used.
        """
        if metres_per_pixel is not None and not (metres_per_pixel > 0 and math.isfinite(metres_per_pixel)):
            raise InputError("scale_invalid", "metres_per_pixel must be a number above 0.", "metres_per_pixel")
        rgb = load(Path(image))
        rooms = find_rooms(rgb)
        return {
            "image": {"width": rgb.shape[1], "height": rgb.shape[0]},
            "metres_per_pixel": metres_per_pixel,
            "room_count": len(rooms),
            "rooms": [_as_json(number, room, metres_per_pixel) for number, room in enumerate(rooms, 1)],
            "overlay": draw(rgb, rooms),
        }


def _as_json(number: int, room: Room, metres_per_pixel: float | None) -> dict[str, Any]:
    left, top, right, bottom = room.bounding_box
    area_m2 = None if metres_per_pixel is None else round(room.area_pixels * metres_per_pixel**2, 3)
    return {
        "number": number,
        "polygon": [list(point) for point in room.polygon],
        "holes": [[list(point) for point in hole] for hole in room.holes],
        "bounding_box": {
            "x": left,
            "y": top,
            "width": round(right - left, 1),
            "height": round(bottom - top, 1),
        },
        "area_pixels": room.area_pixels,
        "area_m2": area_m2,
        "centroid": list(room.centroid),
        "confidence": room.confidence,
    }
