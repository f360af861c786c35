"""Heads and shoulders before a plain background."""

import numpy as np
from PIL import Image

from generator.drawing.canvas import Canvas, Colour
from generator.drawing.subjects import PAINT
from generator.words import Portrait

SKIN: dict[str, Colour] = {"light": (246, 214, 190), "tan": (212, 160, 118), "dark": (122, 78, 52)}
HAIR: dict[str, Colour] = {
    "black": (34, 30, 32),
    "brown": (105, 64, 38),
    "blonde": (236, 200, 110),
    "red": (190, 72, 32),
    "grey": (168, 168, 172),
}


def draw(portrait: Portrait, rng: np.random.Generator) -> Image.Image:
    """The picture of a portrait, RGB, 128 x 128."""
    canvas = Canvas(rng)
    back = canvas.varied(PAINT[portrait.background], 9)
    canvas.gradient([min(255, part * 1.08) for part in back], [part * 0.82 for part in back])
    skin, hair = canvas.varied(SKIN[portrait.skin], 5), canvas.varied(HAIR[portrait.hair], 5)
    clothes = canvas.varied(PAINT[portrait.clothes], 7)
    x, y = 0.5 + float(rng.uniform(-0.05, 0.05)), 0.43 + float(rng.uniform(-0.03, 0.03))
    wide, tall = 0.165 * float(rng.uniform(0.94, 1.06)), 0.215 * float(rng.uniform(0.95, 1.05))
    shade: Colour = tuple(part * 0.86 for part in skin)
    if portrait.length == "long":
        canvas.oval(x, y - 0.02, wide * 1.42, tall * 1.22, hair)
        canvas.box(x - wide * 1.42, y - 0.02, x + wide * 1.42, y + tall * 1.65, hair)
    canvas.oval(x, 1.02, 0.36, 0.27, clothes)
    canvas.box(x - 0.062, y + tall * 0.75, x + 0.062, y + tall + 0.12, shade)
    canvas.polygon([(x - 0.085, y + tall + 0.085), (x + 0.085, y + tall + 0.085), (x, y + tall + 0.17)], shade)
    for side in (-1, 1):
        canvas.oval(x + side * wide * 0.98, y + 0.02, 0.026, 0.042, shade)
    canvas.oval(x, y - 0.02, wide * 1.12, tall * 1.14, hair)
    canvas.oval(x, y + 0.035, wide, tall * 0.98, skin)
    _fringe(canvas, x, y, wide, tall, hair)
    _features(canvas, x, y, wide, shade, hair)
    if portrait.glasses:
        for side in (-1, 1):
            canvas.oval(x + side * 0.072, y + 0.025, 0.058, 0.05, (28, 28, 32))
            canvas.oval(x + side * 0.072, y + 0.025, 0.045, 0.037, tuple(0.75 * part + 55 for part in skin))
            canvas.oval(x + side * 0.072, y + 0.028, 0.016, 0.016, (34, 28, 28))
        canvas.line([(x - 0.02, y + 0.02), (x + 0.02, y + 0.02)], (28, 28, 32), 0.014)
    return canvas.finished()


def _fringe(canvas: Canvas, x: float, y: float, wide: float, tall: float, hair: Colour) -> None:
    line = y - tall * 0.52
    side = float(canvas.rng.choice((-1, 1)))
    arc = [
        (x + wide * 1.08 * np.cos(a), y - 0.02 + tall * 1.1 * np.sin(a))
        for a in np.linspace(np.pi * 1.04, np.pi * 1.96, 24)
    ]
    canvas.polygon(
        [*arc, (x + wide * 0.8, line + 0.03), (x + side * wide * 0.3, line - 0.015), (x - wide * 0.8, line + 0.03)],
        hair,
    )


def _features(canvas: Canvas, x: float, y: float, wide: float, shade: Colour, hair: Colour) -> None:
    for side in (-1, 1):
        canvas.oval(x + side * 0.07, y + 0.028, 0.030, 0.018, (250, 250, 250))
        canvas.oval(x + side * 0.07, y + 0.028, 0.015, 0.018, (40, 32, 30))
        canvas.line(
            [(x + side * 0.045, y - 0.018), (x + side * 0.1, y - 0.014)], tuple(part * 0.7 for part in hair), 0.012
        )
    canvas.line([(x, y + 0.04), (x + 0.012, y + 0.085), (x - 0.008, y + 0.09)], shade, 0.012)
    smile = float(canvas.rng.uniform(0.006, 0.024))
    canvas.line([(x - 0.05, y + 0.135), (x, y + 0.135 + smile), (x + 0.05, y + 0.135)], (176, 70, 70), 0.016)
