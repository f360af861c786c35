"""Command line: `python -m floorplan PLAN.png -o overlay.png` prints the rooms as a table."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from floorplan.errors import InputError
from floorplan.handler import FloorPlan


def main() -> int:
    parser = argparse.ArgumentParser(prog="floorplan", description=__doc__)
    parser.add_argument("plan", type=Path, help="picture of a floor plan (PNG, JPEG, WebP, TIFF, BMP)")
    parser.add_argument("-o", "--overlay", type=Path, help="where to write the annotated picture (PNG)")
    parser.add_argument("--metres-per-pixel", type=float, help="scale, for areas in square metres")
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    options = parser.parse_args()
    try:
        answer = FloorPlan().find_rooms(options.plan, options.metres_per_pixel)
    except InputError as error:
        print(f"{error.error_type} ({error.field}): {error.message}", file=sys.stderr)
        return 2
    overlay = answer.pop("overlay")
    if options.overlay:
        options.overlay.write_bytes(overlay)
    print(json.dumps(answer, indent=2) if options.json else table(answer))
    return 0


def table(answer: dict) -> str:
    """One line per room."""
    size = answer["image"]
    lines = [
        f"{answer['room_count']} rooms in {size['width']} x {size['height']} pixels",
        f"{'room':>4} {'centre':>15} {'box':>24} {'area px':>12} {'m2':>8} {'confidence':>10}",
    ]
    for room in answer["rooms"]:
        box = room["bounding_box"]
        centre = "{:.0f}, {:.0f}".format(*room["centroid"])
        box_text = f"{box['width']:.0f} x {box['height']:.0f} at {box['x']:.0f}, {box['y']:.0f}"
        area_m2 = "" if room["area_m2"] is None else f"{room['area_m2']:.1f}"
        lines.append(
            f"{room['number']:>4} {centre:>15} {box_text:>24} {room['area_pixels']:>12.0f} "
            f"{area_m2:>8} {room['confidence']:>10.2f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
