"""Landscapes, drawn to fill the frame: sky, ground, what stands in it."""

import numpy as np
from PIL import Image

from generator.drawing.canvas import Canvas, Colour
from generator.drawing.subjects import SUBJECTS
from generator.words import Scene

SKY: dict[str, tuple[Colour, Colour]] = {
    "day": ((70, 140, 230), (185, 220, 250)),
    "sunset": ((95, 55, 125), (255, 140, 50)),
    "night": ((14, 18, 55), (45, 55, 110)),
    "dawn": ((150, 165, 220), (255, 205, 205)),
}
LIGHT: dict[str, Colour] = {
    "day": (1.0, 1.0, 1.0),
    "sunset": (0.92, 0.66, 0.52),
    "night": (0.36, 0.40, 0.58),
    "dawn": (0.92, 0.80, 0.86),
}
CLOUD: dict[str, Colour] = {
    "day": (255, 255, 255),
    "sunset": (255, 170, 120),
    "dawn": (255, 232, 236),
    "night": (70, 80, 130),
}


def draw(scene: Scene, rng: np.random.Generator, stranger: str = "") -> Image.Image:
    """The picture of a scene, RGB, 128 x 128.

    Args:
        scene: what to draw.
        rng: decides what the scene leaves open.
        stranger: a subject outside the vocabulary, drawn in place of the scene's own.
    """
    canvas = Canvas(rng)
    canvas.light = LIGHT[scene.time]
    horizon = float(rng.uniform(0.46, 0.58))
    _sky(canvas, scene, horizon)
    GROUNDS[scene.kind](canvas, horizon)
    subject = stranger or scene.subject
    if subject:
        base = float(rng.uniform(0.80, 0.90)) if scene.kind != "sea" else float(rng.uniform(0.70, 0.84))
        if scene.kind == "beach" and subject == "boat":
            base = float(rng.uniform(0.64, 0.70))
        canvas.light = tuple(
            0.5 + 0.5 * part for part in canvas.light
        )  # what a picture is about stands in better light
        SUBJECTS[subject](canvas, float(rng.uniform(0.3, 0.7)), base, float(rng.uniform(0.9, 1.15)), scene.colour)
    return canvas.finished()


def _sky(canvas: Canvas, scene: Scene, horizon: float) -> None:
    rng = canvas.rng
    top, bottom = SKY[scene.time]
    canvas.gradient(canvas.varied(top, 7), canvas.varied(bottom, 7), 0, horizon + 0.15)
    x, y = float(rng.uniform(0.15, 0.85)), float(rng.uniform(0.10, 0.22))
    if scene.sky == "sun":
        low = scene.time != "day"
        y = horizon - float(rng.uniform(0.10, 0.2)) if low else y
        colour = {"day": (255, 240, 120), "sunset": (255, 225, 110), "dawn": (255, 245, 215)}[scene.time]
        canvas.glow(x, y, 0.14, colour, 0.8)
        canvas.soft_ovals([(x, y, 0.085, 0.085)], colour, 1.0, 0.004)
    elif scene.sky == "moon":
        canvas.glow(x, y, 0.12, (150, 160, 210), 0.5)
        canvas.soft_ovals([(x, y, 0.075, 0.075)], (240, 240, 225), 1.0, 0.004)
    elif scene.sky == "stars":
        for _ in range(45):
            sx, sy, size = rng.uniform(0, 1), rng.uniform(0, horizon), rng.uniform(0.004, 0.009)
            _star(canvas, sx, sy, size)
    elif scene.sky == "clouds":
        for _ in range(int(rng.integers(3, 5))):
            cx, cy = rng.uniform(0, 1), rng.uniform(0.06, horizon - 0.16)
            puffs = [
                (
                    cx + rng.uniform(-0.12, 0.12),
                    cy + rng.uniform(-0.02, 0.02),
                    rng.uniform(0.06, 0.11),
                    rng.uniform(0.03, 0.055),
                )
                for _ in range(5)
            ]
            canvas.soft_ovals(puffs, CLOUD[scene.time], 0.95, 0.012)


def _star(canvas: Canvas, x: float, y: float, size: float) -> None:
    light, canvas.light = canvas.light, (1.0, 1.0, 1.0)
    canvas.oval(x, y, size, size, (250, 250, 235))
    canvas.light = light


def _waves(rng: np.random.Generator, level: float, height: float, bumps: float, count: int = 64) -> np.ndarray:
    xs = np.linspace(0, 1, count)
    line = sum(np.sin(xs * 2 * np.pi * bumps * k + rng.uniform(0, 7)) / k for k in (1, 2, 3))
    return level + height * line / 1.8


def _shaded(canvas: Canvas, top: Colour, bottom: Colour, start: float, end: float = 1.0) -> None:
    canvas.gradient(canvas.lit(canvas.varied(top, 8)), canvas.lit(canvas.varied(bottom, 8)), start, end)


def _water(canvas: Canvas, start: float, end: float) -> None:
    _shaded(canvas, (30, 110, 180), (15, 70, 140), start, end)
    for row in np.linspace(start + 0.02, end - 0.01, int(18 * (end - start) / 0.5) + 3):
        for _ in range(3):
            x, length = canvas.rng.uniform(-0.1, 1), canvas.rng.uniform(0.06, 0.2)
            depth = (row - start) / 0.5
            canvas.line(
                [(x, row), (x + length / 2, row - 0.006), (x + length, row)], (110, 175, 220), 0.004 + 0.006 * depth
            )


def _beach(canvas: Canvas, horizon: float) -> None:
    _water(canvas, horizon, 0.76)
    shore = _waves(canvas.rng, 0.715, 0.02, 0.8)
    canvas.land(shore - 0.018, (235, 245, 250))
    canvas.land(shore, canvas.varied((232, 205, 145)))
    canvas.land(shore + 0.13, canvas.varied((222, 190, 125)))
    for _ in range(30):
        canvas.oval(canvas.rng.uniform(0, 1), canvas.rng.uniform(0.77, 1), 0.006, 0.004, (190, 160, 105))


def _sea(canvas: Canvas, horizon: float) -> None:
    _water(canvas, horizon, 1.0)


def _mountains(canvas: Canvas, horizon: float) -> None:
    rng = canvas.rng
    for level, colour in ((horizon - 0.26, (120, 130, 155)), (horizon - 0.14, (90, 98, 118))):
        colour = canvas.varied(colour, 8)
        for x in np.linspace(0.0, 1.0, 4) + rng.uniform(-0.1, 0.1, 4):
            peak, half = level + rng.uniform(-0.06, 0.08), rng.uniform(0.24, 0.34)
            foot = horizon + 0.22
            slope = half / (foot - peak)
            canvas.polygon([(x, peak), (x - half, foot), (x + half, foot)], colour)
            dark = tuple(part * 0.8 for part in colour)
            canvas.polygon([(x, peak), (x + half * 0.15, foot), (x + half, foot)], dark)
            snow = 0.09 + rng.uniform(0, 0.03)
            jag = [
                (x - slope * snow, peak + snow),
                (x - slope * snow * 0.4, peak + snow * 0.75),
                (x, peak + snow * 1.15),
                (x + slope * snow * 0.4, peak + snow * 0.75),
                (x + slope * snow, peak + snow),
            ]
            canvas.polygon([(x, peak), *jag[::-1]], (245, 248, 252))
    canvas.land(_waves(rng, horizon + 0.17, 0.02, 0.7), canvas.varied((85, 130, 70)))
    canvas.land(_waves(rng, horizon + 0.29, 0.02, 0.5), canvas.varied((70, 115, 58)))


def _pine(canvas: Canvas, x: float, foot: float, height: float, colour: Colour) -> None:
    canvas.box(x - 0.012, foot - height * 0.2, x + 0.012, foot, (80, 55, 35))
    for part, wide in ((0.1, 0.2), (0.35, 0.16), (0.6, 0.11)):
        low, high = foot - height * part, foot - height * min(1.0, part + 0.45)
        canvas.polygon([(x, high), (x - height * wide, low), (x + height * wide, low)], colour)


def _forest(canvas: Canvas, horizon: float) -> None:
    rng = canvas.rng
    _shaded(canvas, (60, 100, 55), (50, 85, 45), horizon)
    for foot, height, colour, count in (
        (horizon + 0.08, 0.34, (50, 95, 62), 13),
        (horizon + 0.18, 0.42, (34, 78, 44), 9),
    ):
        for x in np.linspace(-0.02, 1.02, count) + rng.uniform(-0.03, 0.03, count):
            _pine(
                canvas,
                float(x),
                foot + rng.uniform(-0.02, 0.02),
                height * rng.uniform(0.8, 1.15),
                canvas.varied(colour, 7),
            )
    canvas.land(_waves(rng, horizon + 0.22, 0.012, 1.2), canvas.varied((66, 104, 52), 8))
    for x in (rng.uniform(-0.02, 0.12), rng.uniform(0.88, 1.02)):
        _pine(canvas, float(x), 0.95, rng.uniform(0.62, 0.75), canvas.varied((24, 62, 36), 6))


def _city(canvas: Canvas, horizon: float) -> None:
    rng = canvas.rng
    lights = canvas.light[0] < 0.5
    for low, colours in ((0.16, (150, 155, 172)), (0.04, (98, 102, 120))):
        x = -0.04
        while x < 1.0:
            width, tall = rng.uniform(0.10, 0.17), rng.uniform(0.12, 0.36) + low * 0.7
            top = horizon + 0.14 - tall
            canvas.box(x, top, x + width - 0.008, horizon + 0.2, canvas.varied(colours, 14))
            for wy in np.arange(top + 0.022, horizon + 0.1, 0.045):
                for wx in np.arange(x + 0.018, x + width - 0.03, 0.034):
                    if lights and rng.random() < 0.6:
                        light, canvas.light = canvas.light, (1.0, 1.0, 1.0)
                        canvas.box(wx, wy, wx + 0.016, wy + 0.022, (255, 225, 130))
                        canvas.light = light
                    else:
                        canvas.box(wx, wy, wx + 0.016, wy + 0.022, (190, 210, 230) if not lights else (60, 62, 80))
            x += width
    _shaded(canvas, (120, 120, 122), (95, 95, 98), horizon + 0.16)
    canvas.box(0, horizon + 0.16, 1, horizon + 0.185, (165, 165, 165))
    for x in np.arange(rng.uniform(-0.1, 0.1), 1.1, 0.22):
        canvas.box(x, 0.915, x + 0.12, 0.93, (235, 235, 220))


def _desert(canvas: Canvas, horizon: float) -> None:
    rng = canvas.rng
    for level, colour in (
        (horizon + 0.0, (214, 160, 96)),
        (horizon + 0.12, (226, 172, 104)),
        (horizon + 0.27, (205, 148, 84)),
        (horizon + 0.38, (216, 160, 92)),
    ):
        canvas.land(_waves(rng, level, 0.035, rng.uniform(0.6, 1.1)), canvas.varied(colour, 8))
    for _ in range(int(rng.integers(1, 4))):
        x, foot, tall = (
            rng.choice((rng.uniform(0.02, 0.2), rng.uniform(0.8, 0.98))),
            horizon + rng.uniform(0.12, 0.25),
            rng.uniform(0.14, 0.2),
        )
        green = canvas.varied((62, 120, 62), 8)
        canvas.line([(x, foot), (x, foot - tall)], green, 0.03)
        canvas.line([(x - 0.05, foot - tall * 0.8), (x - 0.05, foot - tall * 0.5), (x, foot - tall * 0.5)], green, 0.02)
        canvas.line([(x + 0.05, foot - tall * 0.9), (x + 0.05, foot - tall * 0.6), (x, foot - tall * 0.6)], green, 0.02)


def _meadow(canvas: Canvas, horizon: float) -> None:
    rng = canvas.rng
    for level, colour in (
        (horizon + 0.0, (120, 180, 90)),
        (horizon + 0.1, (105, 175, 75)),
        (horizon + 0.22, (90, 165, 60)),
    ):
        canvas.land(_waves(rng, level, 0.03, rng.uniform(0.5, 1.0)), canvas.varied(colour, 8))
    for _ in range(60):
        y = rng.uniform(horizon + 0.2, 1.0)
        size = 0.005 + 0.014 * (y - horizon)
        flower = ((250, 240, 90), (250, 250, 250), (240, 110, 140))[int(rng.integers(3))]
        canvas.oval(rng.uniform(0, 1), y, size, size, flower)


def _snow(canvas: Canvas, horizon: float) -> None:
    rng = canvas.rng
    canvas.land(_waves(rng, horizon + 0.0, 0.03, 0.8), canvas.varied((214, 224, 240), 5))
    for x in np.concatenate([rng.uniform(0, 0.3, 3), rng.uniform(0.7, 1.0, 3)]):
        foot, tall = horizon + rng.uniform(0.04, 0.12), rng.uniform(0.16, 0.24)
        _pine(canvas, float(x), foot, tall, canvas.varied((70, 105, 95), 7))
        canvas.polygon(
            [(x, foot - tall), (x - tall * 0.09, foot - tall * 0.65), (x + tall * 0.09, foot - tall * 0.65)],
            (240, 245, 250),
        )
    canvas.land(_waves(rng, horizon + 0.12, 0.025, 0.7), canvas.varied((228, 236, 247), 5))
    canvas.land(_waves(rng, horizon + 0.28, 0.025, 0.6), canvas.varied((240, 245, 252), 4))


GROUNDS = {
    "beach": _beach,
    "mountains": _mountains,
    "forest": _forest,
    "city": _city,
    "desert": _desert,
    "sea": _sea,
    "meadow": _meadow,
    "snow": _snow,
}
