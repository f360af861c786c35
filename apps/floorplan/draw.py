"""Draw floor plans whose rooms are known, in the manners in which people draw them.

A plan is laid out in metres (rooms by repeated splitting, some merged into L-shapes, a corner of the
building sometimes cut away), then drawn with walls, doors, windows, furniture, lettering and
dimension lines, then spoilt as scanners and cameras spoil pictures.

    python draw.py samples          # writes the package's sample pictures
    python draw.py OUT_DIR --plans 12 --seed 1 [--variety terraced]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX

VARIETIES = (
    "thick",
    "thin",
    "grey",
    "outlined",
    "hollow",
    "hatched",
    "furnished",
    "tiled",
    "dimensions",
    "scan",
    "skewed",
    "photograph",
    "cad",
    "pale",
    "terraced",
    "export",
    "pen",
    "large",
)

NAMES = (
    "BEDROOM",
    "Kitchen",
    "LIVING",
    "BATH",
    "Sovrum",
    "Kueche",
    "SALON",
    "Bad",
    "HALL",
    "CHAMBRE",
    "Study",
    "ROOM",
    "Diele",
    "CUCINA",
    "Camera",
    "Store",
)

FOREIGN_NAMES = (
    "Séjour",
    "Küche",
    "Кухня",
    "Спальня",
    "寝室",
    "客厅",
    "Łazienka",
    "Σαλόνι",
    "Badeværelse",
    "Göz",
)

NECK_METRES = 1.8
"""Two spaces that meet over less than this are two rooms with a doorway between them."""

FURNISHINGS = ("bed", "table", "counter", "wardrobe", "sofa", "bath")


@dataclass
class Wall:
    """A straight wall between rooms `a` and `b` (0: outdoors), in metres. `along` is "x" or "y",
    `at` the position of its middle line across, `start`..`end` its extent along."""

    along: str
    at: float
    start: float
    end: float
    a: int
    b: int
    gaps: list[tuple[float, float, str]] = field(default_factory=list)

    @property
    def outer(self) -> bool:
        return 0 in (self.a, self.b)


@dataclass
class Layout:
    """A building: the cells of a grid (`xs` by `ys`, metres) and the room that each belongs to."""

    xs: np.ndarray
    ys: np.ndarray
    rooms: np.ndarray
    walls: list[Wall]


@dataclass
class Manner:
    """How a plan is drawn and spoilt. On a `canvas` (width, height in pixels) the plan is drawn as large
    as it allows, whatever `pixels_per_metre` says."""

    wall: str = "filled"
    wall_grey: int = 0
    outer_metres: float = 0.32
    inner_metres: float = 0.14
    pixels_per_metre: float = 70.0
    line: int = 1
    door: str = "swing"
    furniture: float = 0.6
    tiles: float = 0.15
    lettering: bool = True
    names: tuple[str, ...] = NAMES
    furnishings: tuple[str, ...] = FURNISHINGS
    dimensions: bool = False
    dimension_sides: int = 2
    canvas: tuple[int, int] | None = None
    degrees: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    jpeg: int | None = None
    photograph: bool = False


@dataclass
class DrawnPlan:
    """`picture` is uint8 grey or BGR; `rooms` has each room's number at its pixels, 0 elsewhere."""

    variety: str
    picture: np.ndarray
    rooms: np.ndarray


def draw_plan(seed: int, variety: str) -> DrawnPlan:
    """Draw one plan; the same seed and variety give the same picture."""
    random = np.random.default_rng([seed, VARIETIES.index(variety)])
    layout = lay_out(random, narrow=variety == "terraced")
    manner = choose_manner(random, variety)
    pen = Pen(layout, manner, random)
    picture, rooms = pen.draw()
    picture, rooms = spoil(picture, rooms, manner, random)
    return DrawnPlan(variety, picture, rooms)


# -- layout ---------------------------------------------------------------------------------------


def lay_out(random: np.random.Generator, narrow: bool = False) -> Layout:
    """A building of 7 to 15 by 6 to 11 metres, or a narrow one, as in a terrace."""
    width, height = random.uniform(7, 15), random.uniform(6, 11)
    if narrow:
        width, height = random.uniform(4.6, 6), random.uniform(10, 13)
    boxes = _split([(0.0, 0.0, width, height)], int(random.integers(4, 11)), random)
    xs = np.unique(np.round([v for box in boxes for v in (box[0], box[2])], 3))
    ys = np.unique(np.round([v for box in boxes for v in (box[1], box[3])], 3))
    rooms = np.zeros((len(ys) - 1, len(xs) - 1), int)
    for number, (left, top, right, bottom) in enumerate(boxes, 1):
        inside_x = (xs[:-1] >= left - 0.01) & (xs[1:] <= right + 0.01)
        inside_y = (ys[:-1] >= top - 0.01) & (ys[1:] <= bottom + 0.01)
        rooms[np.ix_(inside_y, inside_x)] = number
    if random.random() < 0.35 and len(boxes) > 4:
        rooms[rooms == rooms[-1, -1]] = 0  # cut a corner: an L-shaped building
    if random.random() < 0.4:
        _merge_two(rooms, xs, ys, random)
    layout = Layout(xs, ys, rooms, [])
    layout.walls = _walls(layout)
    _cut_doors(layout, random)
    _cut_windows(layout, random)
    return layout


def _split(boxes: list, count: int, random: np.random.Generator) -> list:
    """Split the largest box, at a wall that is at least 1.5 m from both sides, until there are `count`."""
    while len(boxes) < count:
        boxes.sort(key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))
        left, top, right, bottom = boxes.pop()
        width, height = right - left, bottom - top
        share = random.uniform(0.34, 0.66)
        if max(width, height) * min(share, 1 - share) < 1.5:
            boxes.append((left, top, right, bottom))
            break
        if width > height:
            middle = round(left + share * width, 1)
            boxes += [(left, top, middle, bottom), (middle, top, right, bottom)]
        else:
            middle = round(top + share * height, 1)
            boxes += [(left, top, right, middle), (left, middle, right, bottom)]
    return boxes


def _merge_two(rooms: np.ndarray, xs: np.ndarray, ys: np.ndarray, random: np.random.Generator) -> None:
    """Join two neighbours into one room; where they meet over a door's width only, they stay two."""
    shared: dict[tuple[int, int], float] = defaultdict(float)
    for one, other, lengths in (
        (rooms[:, :-1].T, rooms[:, 1:].T, np.diff(ys)),
        (rooms[:-1], rooms[1:], np.diff(xs)),
    ):
        for row, next_row in zip(one, other, strict=True):
            for a, b, length in zip(row.tolist(), next_row.tolist(), lengths.tolist(), strict=True):
                if a != b and a and b:
                    shared[min(a, b), max(a, b)] += length
    pairs = sorted(pair for pair, length in shared.items() if length >= NECK_METRES)
    if len(shared) > 3 and pairs:
        keep, drop = pairs[int(random.integers(len(pairs)))]
        rooms[rooms == drop] = keep


def _walls(layout: Layout) -> list[Wall]:
    """Maximal straight walls between the same two rooms."""
    padded = np.pad(layout.rooms, 1)
    found = []
    for along, cells, across, ends in (("y", padded, layout.xs, layout.ys), ("x", padded.T, layout.ys, layout.xs)):
        for i, at in enumerate(across):
            current = None
            for j in range(len(ends) - 1):
                a, b = int(cells[j + 1, i]), int(cells[j + 1, i + 1])
                if current and (current.a, current.b) == (a, b):
                    current.end = float(ends[j + 1])
                elif a != b:
                    current = Wall(along, float(at), float(ends[j]), float(ends[j + 1]), a, b)
                    found.append(current)
                else:
                    current = None
    return found


def _cut_doors(layout: Layout, random: np.random.Generator) -> None:
    """Doors along a random spanning tree of the rooms, a few more, and one to outdoors."""
    reached: set[int] = set()
    walls = [wall for wall in layout.walls if wall.end - wall.start > 1.5]
    random.shuffle(walls)
    rooms = {int(r) for r in np.unique(layout.rooms) if r}
    reached.add(min(rooms))
    while True:
        wall = next((w for w in walls if not w.outer and (w.a in reached) != (w.b in reached)), None)
        if wall is None:
            break
        reached |= {wall.a, wall.b}
        _cut(wall, random.uniform(0.75, 0.95), "door", random)
    for wall in walls:
        if not wall.outer and not wall.gaps and random.random() < 0.1:
            _cut(wall, random.uniform(0.75, 0.95), "door", random)
    _cut(next(w for w in walls if w.outer), random.uniform(0.85, 1.0), "door", random)


def _cut(wall: Wall, width: float, kind: str, random: np.random.Generator) -> None:
    room = wall.end - wall.start - width - 0.7
    if room > 0:
        start = wall.start + 0.35 + random.uniform(0, room)
        wall.gaps.append((start, start + width, kind))


def _cut_windows(layout: Layout, random: np.random.Generator) -> None:
    for wall in layout.walls:
        if wall.outer and not wall.gaps and wall.end - wall.start > 1.9 and random.random() < 0.75:
            _cut(wall, min(random.uniform(0.9, 2.2), wall.end - wall.start - 0.9), "window", random)


# -- manners --------------------------------------------------------------------------------------


def choose_manner(random: np.random.Generator, variety: str) -> Manner:
    manner = Manner(
        pixels_per_metre=random.uniform(45, 100),
        door=str(random.choice(["swing", "gap", "threshold"])),
        outer_metres=random.uniform(0.24, 0.4),
        inner_metres=random.uniform(0.1, 0.18),
        line=int(random.integers(1, 3)),
    )
    changes = {
        "thick": {"outer_metres": random.uniform(0.35, 0.5), "inner_metres": random.uniform(0.15, 0.25)},
        "thin": {
            "outer_metres": 0.07,
            "inner_metres": 0.06,
            "pixels_per_metre": random.uniform(55, 90),
            "furniture": 0.3,
            "tiles": 0.0,
            "line": 1,
        },
        "grey": {"wall_grey": int(random.integers(90, 185))},
        "outlined": {"wall": "outlined", "wall_grey": int(random.integers(120, 215))},
        "hollow": {"wall": "hollow", "pixels_per_metre": random.uniform(70, 110)},
        "hatched": {"wall": "hatched", "pixels_per_metre": random.uniform(70, 110)},
        "furnished": {"furniture": 1.0, "tiles": 0.2},
        "tiled": {"tiles": 0.7},
        "dimensions": {"dimensions": True},
        "scan": {
            "noise": random.uniform(6, 16),
            "blur": random.uniform(0.5, 1.3),
            "jpeg": int(random.integers(35, 80)),
        },
        "skewed": {"degrees": random.uniform(1, 5) * random.choice([-1, 1])},
        "photograph": {
            "photograph": True,
            "blur": random.uniform(0.5, 1.0),
            "noise": random.uniform(2, 7),
            "degrees": random.uniform(-3, 3),
            "jpeg": int(random.integers(60, 90)),
        },
        "cad": {
            "wall": "hollow",
            "pixels_per_metre": random.uniform(130, 170),
            "dimensions": True,
            "line": 2,
            "furniture": 0.9,
        },
        "pale": {"wall_grey": int(random.integers(165, 206)), "tiles": 0.05},
        "terraced": {
            "canvas": (614, 1296),
            "outer_metres": random.uniform(0.25, 0.4),
            "inner_metres": random.uniform(0.08, 0.14),
            "wall_grey": int(random.choice([0, 0, 60, 130])),
            "furnishings": (*FURNISHINGS, "stairs", "stairs"),
            "furniture": 0.8,
            "line": 1,
            "blur": random.uniform(0, 0.7),
        },
        "export": {
            "canvas": (2920, 1797),
            "wall": str(random.choice(["hollow", "hollow", "outlined", "filled"])),
            "wall_grey": int(random.integers(100, 200)),
            "names": FOREIGN_NAMES,
            "furnishings": (*FURNISHINGS, "stairs"),
            "furniture": 0.9,
            "dimensions": True,
            "dimension_sides": 4,
            "line": int(random.integers(1, 4)),
        },
        "pen": {
            "wall": "pen",
            "wall_grey": int(random.integers(20, 70)),
            "outer_metres": random.uniform(0.1, 0.16),
            "inner_metres": random.uniform(0.09, 0.13),
            "door": "gap",
            "furniture": 0.15,
            "tiles": 0.0,
            "photograph": True,
            "degrees": random.uniform(-4, 4),
            "pixels_per_metre": random.uniform(90, 200),
            "blur": random.uniform(0.6, 1.5),
            "noise": random.uniform(3, 8),
            "jpeg": int(random.integers(60, 95)),
        },
        "large": {
            "canvas": (4000, 3000),
            "line": int(random.integers(2, 6)),
            "furniture": 0.9,
            "names": FOREIGN_NAMES,
            "noise": random.uniform(0, 6),
        },
    }
    for name, value in changes[variety].items():
        setattr(manner, name, value)
    if variety in ("dimensions", "skewed", "furnished") and random.random() < 0.4:
        manner.wall, manner.wall_grey = "outlined", int(random.integers(100, 200))
    if variety not in ("photograph", "skewed", "cad", "terraced", "export", "pen", "large") and random.random() < 0.2:
        manner.degrees = float(random.uniform(-2, 2))
    return manner


# -- drawing --------------------------------------------------------------------------------------


class Pen:
    """Draws a layout in a manner: `picture` in grey and the true rooms."""

    def __init__(self, layout: Layout, manner: Manner, random: np.random.Generator) -> None:
        self.layout, self.manner, self.random = layout, manner, random
        self.margin = 2.6 if manner.dimensions else 1.3
        width, height = (float(v[-1]) + 2 * self.margin for v in (layout.xs, layout.ys))
        if manner.canvas:
            manner.pixels_per_metre = min(manner.canvas[0] / width, manner.canvas[1] / height)
        shape = manner.canvas[::-1] if manner.canvas else (self._length(height), self._length(width))
        self.picture = np.full(shape, 255, np.uint8)
        self.solid = np.zeros(shape, np.uint8)
        self.rooms = np.zeros(shape, np.uint8)

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        self._fill_rooms()
        self._raise_walls()
        for room in np.unique(self.rooms)[1:]:
            self._furnish(int(room))
        self._sketch_walls() if self.manner.wall == "pen" else self._ink_walls()
        for wall in self.layout.walls:
            for gap in wall.gaps:
                self._draw_window(wall, gap) if gap[2] == "window" else self._draw_door(wall, gap)
        if self.manner.dimensions:
            self._dimension_lines()
        return self.picture, self.rooms

    def _length(self, metres: float) -> int:
        return round(metres * self.manner.pixels_per_metre)

    def _point(self, x: float, y: float) -> tuple[int, int]:
        return self._length(x + self.margin), self._length(y + self.margin)

    def _on(self, wall: Wall, along: float, across: float) -> tuple[int, int]:
        return self._point(along, wall.at + across) if wall.along == "x" else self._point(wall.at + across, along)

    def _thickness(self, wall: Wall) -> float:
        return self.manner.outer_metres if wall.outer else self.manner.inner_metres

    def _fill_rooms(self) -> None:
        for (row, column), room in np.ndenumerate(self.layout.rooms):
            left, top = self._point(self.layout.xs[column], self.layout.ys[row])
            right, bottom = self._point(self.layout.xs[column + 1], self.layout.ys[row + 1])
            self.rooms[top:bottom, left:right] = room

    def _raise_walls(self) -> None:
        """Mark the walls' pixels, take them from the rooms, then open the gaps."""
        for wall in self.layout.walls:
            half = self._thickness(wall) / 2
            corners = self._on(wall, wall.start - half, -half), self._on(wall, wall.end + half, half)
            cv2.rectangle(self.solid, *corners, 1, cv2.FILLED)
        self.rooms[self.solid == 1] = 0
        for wall in self.layout.walls:
            half = self._thickness(wall) / 2 + 0.02
            for start, end, _ in wall.gaps:
                cv2.rectangle(self.solid, self._on(wall, start, -half), self._on(wall, end, half), 0, cv2.FILLED)

    def _ink_walls(self) -> None:
        manner, line = self.manner, self.manner.line
        kernel = np.ones((2 * line + 1, 2 * line + 1), np.uint8)
        outline = self.solid & ~cv2.erode(self.solid, kernel)
        if manner.wall in ("filled", "outlined"):
            self.picture[self.solid == 1] = manner.wall_grey
        else:
            self.picture[self.solid == 1] = 255
        if manner.wall == "hatched":
            ys, xs = np.nonzero(self.solid)
            step = max(6, self._length(0.09))
            strokes = (xs + ys) % step < line
            self.picture[ys[strokes], xs[strokes]] = 60
        if manner.wall != "filled":
            self.picture[outline == 1] = 0

    def _sketch_walls(self) -> None:
        """Every wall in a few strokes of a thick pen, none of them quite straight or quite on the spot."""
        for wall in self.layout.walls:
            half = self._thickness(wall) / 2
            stops = [wall.start, *(v for start, end, _ in sorted(wall.gaps) for v in (start, end)), wall.end]
            for start, end in zip(stops[::2], stops[1::2], strict=True):
                for _ in range(3):
                    steps = np.linspace(start - self.random.uniform(0, half), end + self.random.uniform(0, half), 12)
                    drift = self.random.uniform(-0.4, 0.4) * half + np.cumsum(self.random.normal(0, 0.08 * half, 12))
                    stroke = np.array([self._on(wall, x, y) for x, y in zip(steps, drift, strict=True)])
                    width = max(1, self._length(half * self.random.uniform(1.2, 1.8)))
                    cv2.polylines(self.picture, [stroke], False, self.manner.wall_grey, width, cv2.LINE_AA)

    def _draw_window(self, wall: Wall, gap: tuple[float, float, str]) -> None:
        half = self._thickness(wall) / 2
        offsets = (-half, half) if half > 0.06 else (-0.05, 0.05)
        if self.random.random() < 0.5:
            offsets = (*offsets, 0.0)
        for offset in offsets:
            self._line(self._on(wall, gap[0], offset), self._on(wall, gap[1], offset))

    def _draw_door(self, wall: Wall, gap: tuple[float, float, str]) -> None:
        start, end, _ = gap
        half = self._thickness(wall) / 2
        if self.manner.door == "threshold":
            for offset in (-half, half):
                self._line(self._on(wall, start, offset), self._on(wall, end, offset), 150)
        if self.manner.door != "swing":
            return
        side = self.random.choice([-1, 1])
        hinge, towards = (start, 1) if self.random.random() < 0.5 else (end, -1)
        angles = np.radians(np.linspace(0, 90, 40))
        arc = [
            self._on(wall, hinge + towards * (end - start) * np.cos(a), side * (half + (end - start) * np.sin(a)))
            for a in angles
        ]
        cv2.polylines(self.picture, [np.array(arc)], False, 60, self.manner.line, cv2.LINE_AA)
        self._line(self._on(wall, hinge, side * half), self._on(wall, hinge, side * (half + end - start)))

    def _line(self, one: tuple[int, int], other: tuple[int, int], grey: int = 30) -> None:
        cv2.line(self.picture, one, other, grey, self.manner.line, cv2.LINE_AA)

    def _box(self, left: float, top: float, right: float, bottom: float, fill: int | None = None) -> None:
        """A rectangle in pixels."""
        corners = (round(left), round(top)), (round(right), round(bottom))
        if fill is not None:
            cv2.rectangle(self.picture, *corners, fill, cv2.FILLED)
        cv2.rectangle(self.picture, *corners, 50, self.manner.line)

    def _furnish(self, room: int) -> None:
        mask = (self.rooms == room).astype(np.uint8)
        left, top, width, height = cv2.boundingRect(mask)
        random, unit = self.random, self.manner.pixels_per_metre
        if random.random() < self.manner.tiles:
            self._tile(mask, (left, top, width, height))
        if width < 1.4 * unit or height < 1.4 * unit or mask[top : top + height, left : left + width].mean() < 0.99:
            return  # too small, or not a rectangle
        if random.random() < self.manner.furniture:
            kind = random.choice(self.manner.furnishings)
            getattr(self, f"_{kind}")(left, top, width, height, unit)
        if self.manner.lettering:
            self._letter(left + width / 2, top + height / 2, width)

    def _tile(self, mask: np.ndarray, box: tuple[int, int, int, int]) -> None:
        left, top, width, height = box
        step, grey = max(9, self._length(self.random.uniform(0.2, 0.4))), int(self.random.integers(90, 215))
        tiles = np.zeros_like(mask)
        tiles[top : top + height : step, left : left + width] = 1
        tiles[top : top + height, left : left + width : step] = 1
        self.picture[(tiles & mask) == 1] = grey

    def _bed(self, left: int, top: int, width: int, height: int, unit: float) -> None:
        fill = self.random.choice([None, 225, 200])
        w, h = min(1.5 * unit, 0.6 * width), min(1.9 * unit, 0.6 * height)
        x, y = left + 0.15 * unit, top + 0.1 * unit
        self._box(x, y, x + w, y + h, fill)
        for k in (0.08, 0.54):
            self._box(x + k * w, y + 0.05 * h, x + (k + 0.38) * w, y + 0.25 * h)
        self._line((round(x), round(y + 0.4 * h)), (round(x + w), round(y + 0.5 * h)))

    def _table(self, left: int, top: int, width: int, height: int, unit: float) -> None:
        w, h = min(1.6 * unit, 0.5 * width), min(0.9 * unit, 0.4 * height)
        x, y = left + (width - w) / 2, top + 0.62 * height - h / 2
        self._box(x, y, x + w, y + h)
        for k in (0.1, 0.55):
            for dy in (-0.42 * unit, h + 0.07 * unit):
                self._box(x + k * w, y + dy, x + (k + 0.3) * w, y + dy + 0.35 * unit)

    def _counter(self, left: int, top: int, width: int, height: int, unit: float) -> None:
        depth = 0.6 * unit
        self._box(left, top, left + width - 1, top + depth)
        self._box(left, top, left + depth, top + 0.7 * height)
        for k in (0.55, 0.68):
            for dy in (0.3, 0.7):
                centre = (round(left + k * width), round(top + dy * depth))
                cv2.circle(self.picture, centre, round(0.09 * unit), 60, self.manner.line, cv2.LINE_AA)

    def _wardrobe(self, left: int, top: int, width: int, height: int, unit: float) -> None:
        depth = 0.55 * unit
        x = left + width - depth
        self._box(x, top, left + width - 1, top + height - 1)
        for y in np.arange(top + 6, top + height - 6, max(6.0, 0.12 * unit)):
            self._line(
                (round(x + 0.2 * depth), round(y)), (round(x + 0.8 * depth), round(y + self.random.uniform(-3, 3)))
            )

    def _sofa(self, left: int, top: int, width: int, height: int, unit: float) -> None:
        w, h = min(2.0 * unit, 0.6 * width), 0.8 * unit
        x, y = left + (width - w) / 2, top + height - h - 0.1 * unit
        self._box(x, y, x + w, y + h, self.random.choice([None, 230]))
        self._box(x + 0.15 * h, y, x + w - 0.15 * h, y + 0.75 * h)

    def _bath(self, left: int, top: int, width: int, height: int, unit: float) -> None:
        w, h = min(1.7 * unit, 0.9 * width), 0.7 * unit
        self._box(left, top, left + w, top + h)
        centre, axes = (round(left + w / 2), round(top + h / 2)), (round(0.42 * w), round(0.36 * h))
        cv2.ellipse(self.picture, centre, axes, 0, 0, 360, 60, self.manner.line, cv2.LINE_AA)

    def _stairs(self, left: int, top: int, width: int, height: int, unit: float) -> None:
        w, h = min(0.9 * unit, 0.5 * width), min(3.0 * unit, 0.8 * height)
        self._box(left, top, left + w, top + h)
        for y in np.arange(top, top + h, 0.26 * unit):
            self._line((left, round(y)), (round(left + w), round(y)))
        x = round(left + w / 2)
        cv2.arrowedLine(
            self.picture, (x, round(top + h)), (x, round(top + 0.2 * unit)), 30, self.manner.line, cv2.LINE_AA
        )

    def _letter(self, x: float, y: float, width: int) -> None:
        size = self.manner.pixels_per_metre / 70 * self.random.uniform(0.35, 0.6)
        weight = max(1, round(1.6 * size))
        area = f"{self.random.uniform(3, 30):.1f} m2"
        for text, dy in ((str(self.random.choice(self.manner.names)), 0.0), (area, 1.5)):
            (w, h), _ = cv2.getTextSize(text, FONT, size, weight)
            if w < 0.9 * width:
                at = (round(x - w / 2), round(y + dy * h))
                cv2.putText(self.picture, text, at, FONT, size, 20, weight, cv2.LINE_AA)

    def _dimension_lines(self) -> None:
        """Two rows above and two to the left (or on all four sides): every wall, and the whole."""
        for along, stops, across in (
            ("x", self.layout.xs, self.layout.ys),
            ("y", self.layout.ys, self.layout.xs),
        ):
            self._dimension_row(along, stops, -1.0)
            self._dimension_row(along, stops[[0, -1]], -1.6)
            if self.manner.dimension_sides == 4:
                self._dimension_row(along, stops, float(across[-1]) + 1.0, -1)
                self._dimension_row(along, stops[[0, -1]], float(across[-1]) + 1.6, -1)

    def _dimension_row(self, along: str, marks: np.ndarray, at: float, inwards: int = 1) -> None:
        def spot(value: float, aside: float = 0.0) -> tuple[int, int]:
            return self._point(value, at + aside) if along == "x" else self._point(at + aside, value)

        self._line(spot(marks[0] - 0.2), spot(marks[-1] + 0.2))
        for mark in marks:
            self._line(spot(mark, -0.15 * inwards), spot(mark, 0.6 * inwards))
        size = self.manner.pixels_per_metre / 190
        for one, other in pairwise(marks):
            where = spot((one + other) / 2 - 0.2, -0.08)
            cv2.putText(self.picture, f"{other - one:.2f}", where, FONT, size, 40, 1, cv2.LINE_AA)


# -- spoiling -------------------------------------------------------------------------------------


def spoil(
    picture: np.ndarray, rooms: np.ndarray, manner: Manner, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Turn, shade, blur, add noise, compress; the true rooms move along."""
    if manner.photograph or manner.degrees:
        picture, rooms = _turned(picture, rooms, manner, random)
    values = picture.astype(np.float32)
    if manner.photograph:
        values = _shaded(values, random)
    if manner.blur:
        values = cv2.GaussianBlur(values, (0, 0), manner.blur)
    if manner.noise:
        values += random.normal(0, manner.noise, values.shape).astype(np.float32)
    picture = np.clip(values, 0, 255).astype(np.uint8)
    if manner.jpeg:
        picture = cv2.imdecode(
            cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, manner.jpeg])[1], cv2.IMREAD_GRAYSCALE
        )
    return picture, rooms


def _turned(
    picture: np.ndarray, rooms: np.ndarray, manner: Manner, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    height, width = picture.shape
    turn = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), manner.degrees, 1.0), [0, 0, 1]])
    if manner.photograph:  # the camera was not quite above the middle
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        moved = corners + random.uniform(-0.012, 0.012, (4, 2)).astype(np.float32) * max(height, width)
        turn = cv2.getPerspectiveTransform(corners, moved.astype(np.float32)) @ turn
    corners = cv2.perspectiveTransform(
        np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64), turn
    )[0]
    shift = np.eye(3)
    shift[:2, 2] = -corners.min(axis=0)
    size = tuple(int(v) for v in np.ceil(np.ptp(corners, axis=0)))
    return (
        cv2.warpPerspective(picture, shift @ turn, size, flags=cv2.INTER_LINEAR, borderValue=255),
        cv2.warpPerspective(rooms, shift @ turn, size, flags=cv2.INTER_NEAREST, borderValue=0),
    )


def _shaded(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Light from one side, a vignette and the soft shadow of a hand; black ink is not quite black."""
    height, width = values.shape
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    ys, xs = ys / height, xs / width
    angle = random.uniform(0, 2 * np.pi)
    light = 0.78 + random.uniform(0.1, 0.22) * ((xs - 0.5) * np.cos(angle) + (ys - 0.5) * np.sin(angle)) * 2
    light -= 0.25 * ((xs - 0.5) ** 2 + (ys - 0.5) ** 2)
    x0, y0 = random.uniform(0, 1, 2)
    light -= 0.12 / (1 + np.exp(-12 * (0.45 - np.hypot(xs - x0, ys - y0))))
    return (35 + values * 220 / 255) * light


# -- command line ---------------------------------------------------------------------------------


def write_samples(folder: Path) -> None:
    """The package's samples: a studio flat with plain walls, a photographed flat with a scale."""
    for name, seed, variety in (("studio-flat", 11, "furnished"), ("photographed-flat", 6, "photograph")):
        plan = draw_plan(seed, variety)
        small = cv2.resize(plan.picture, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{name}.png"), small, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        count = len(np.unique(plan.rooms)) - 1
        expected = {
            "type": "object",
            "required": ["rooms"],
            "properties": {
                "room_count": {"const": count},
                "rooms": {"type": "array", "minItems": count, "maxItems": count},
            },
        }
        (folder / f"{name}.expect.json").write_text(json.dumps(expected, indent=2) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to write; the name `samples` writes the package's samples")
    parser.add_argument("--plans", type=int, default=len(VARIETIES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variety", choices=VARIETIES, help="only this one")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.folder.name == "samples":
        write_samples(options.folder)
        return 0
    varieties = (options.variety,) if options.variety else VARIETIES
    for number in range(options.plans):
        plan = draw_plan(options.seed + number // len(varieties), varieties[number % len(varieties)])
        cv2.imwrite(str(options.folder / f"{number:03}-{plan.variety}.png"), plan.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
