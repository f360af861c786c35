"""What stands in a landscape: each is drawn with its foot at (x, base), about a third of the picture wide."""

from generator.drawing.canvas import Canvas, Colour

PAINT: dict[str, Colour] = {
    "red": (215, 40, 40),
    "yellow": (245, 210, 50),
    "green": (40, 150, 65),
    "blue": (40, 90, 215),
    "purple": (140, 60, 180),
    "white": (245, 245, 245),
    "black": (40, 40, 46),
    "orange": (240, 135, 40),
    "grey": (150, 152, 156),
}


def _paint(canvas: Canvas, colour: str) -> Colour:
    return canvas.varied(PAINT[colour], 7)


def _darker(colour: Colour, by: float = 0.72) -> Colour:
    red, green, blue = (part * by for part in colour)
    return red, green, blue


def house(canvas: Canvas, x: float, base: float, size: float, colour: str) -> None:
    walls = _paint(canvas, colour)
    half, tall = 0.17 * size, 0.22 * size
    canvas.box(x - half, base - tall, x + half, base, walls)
    canvas.box(x + half * 0.72, base - tall, x + half, base, _darker(walls, 0.85))
    roof = canvas.varied((110, 62, 45), 8) if colour != "red" else canvas.varied((75, 72, 80), 6)
    canvas.polygon([(x - half * 1.2, base - tall), (x, base - tall - 0.16 * size), (x + half * 1.2, base - tall)], roof)
    canvas.box(x - 0.035 * size, base - 0.12 * size, x + 0.035 * size, base, (84, 54, 38))
    for left in (x - half * 0.78, x + half * 0.38):
        canvas.box(left, base - 0.17 * size, left + 0.065 * size, base - 0.10 * size, (250, 240, 180))


def tree(canvas: Canvas, x: float, base: float, size: float, colour: str) -> None:
    canvas.box(x - 0.024 * size, base - 0.25 * size, x + 0.024 * size, base, (105, 72, 45))
    crown = canvas.varied((62, 140, 55), 9)
    for dx, dy, radius in ((-0.09, 0.28, 0.10), (0.09, 0.28, 0.10), (0.0, 0.36, 0.13)):
        canvas.oval(x + dx * size, base - dy * size, radius * size, radius * size, crown)
    canvas.oval(
        x - 0.03 * size, base - 0.39 * size, 0.07 * size, 0.06 * size, tuple(min(255, part * 1.25) for part in crown)
    )


def boat(canvas: Canvas, x: float, base: float, size: float, colour: str) -> None:
    hull = _paint(canvas, colour)
    top = base - 0.09 * size
    canvas.line([(x, top), (x, top - 0.32 * size)], (95, 70, 50), 0.014)
    canvas.polygon(
        [(x + 0.015, top - 0.02), (x + 0.015, top - 0.31 * size), (x + 0.17 * size, top - 0.02)], (248, 246, 238)
    )
    canvas.polygon(
        [(x - 0.015, top - 0.02), (x - 0.015, top - 0.26 * size), (x - 0.13 * size, top - 0.02)], (228, 226, 220)
    )
    canvas.polygon(
        [(x - 0.22 * size, top), (x + 0.22 * size, top), (x + 0.14 * size, base), (x - 0.15 * size, base)], hull
    )
    canvas.line([(x - 0.21 * size, top + 0.012), (x + 0.21 * size, top + 0.012)], _darker(hull), 0.012)


def car(canvas: Canvas, x: float, base: float, size: float, colour: str) -> None:
    body = _paint(canvas, colour)
    low = base - 0.035 * size
    canvas.polygon(
        [
            (x - 0.14 * size, low - 0.10 * size),
            (x - 0.08 * size, low - 0.19 * size),
            (x + 0.07 * size, low - 0.19 * size),
            (x + 0.13 * size, low - 0.10 * size),
        ],
        body,
    )
    canvas.polygon(
        [
            (x - 0.11 * size, low - 0.10 * size),
            (x - 0.07 * size, low - 0.17 * size),
            (x - 0.01 * size, low - 0.17 * size),
            (x - 0.01 * size, low - 0.10 * size),
        ],
        (185, 215, 235),
    )
    canvas.polygon(
        [
            (x + 0.01 * size, low - 0.10 * size),
            (x + 0.01 * size, low - 0.17 * size),
            (x + 0.06 * size, low - 0.17 * size),
            (x + 0.10 * size, low - 0.10 * size),
        ],
        (185, 215, 235),
    )
    canvas.box(x - 0.22 * size, low - 0.11 * size, x + 0.22 * size, low, body)
    canvas.box(x - 0.22 * size, low - 0.03 * size, x + 0.22 * size, low, _darker(body))
    for wheel in (x - 0.13 * size, x + 0.13 * size):
        canvas.oval(wheel, low, 0.05 * size, 0.05 * size, (38, 38, 42))
        canvas.oval(wheel, low, 0.022 * size, 0.022 * size, (185, 185, 190))


def tent(canvas: Canvas, x: float, base: float, size: float, colour: str) -> None:
    cloth = _paint(canvas, colour)
    top = base - 0.26 * size
    canvas.polygon([(x, top), (x - 0.22 * size, base), (x + 0.22 * size, base)], cloth)
    canvas.polygon([(x, top), (x + 0.08 * size, base), (x + 0.22 * size, base)], _darker(cloth, 0.8))
    canvas.polygon(
        [(x - 0.02 * size, top + 0.07 * size), (x - 0.075 * size, base), (x + 0.035 * size, base)], (60, 48, 44)
    )


def lighthouse(canvas: Canvas, x: float, base: float, size: float, colour: str) -> None:
    """Outside the vocabulary: a subject for an adapter."""
    tall, wide = 0.52 * size, 0.07 * size
    for band in range(5):
        low, high = base - tall * band / 5, base - tall * (band + 1) / 5
        low_half, high_half = wide * (1 - 0.08 * band), wide * (1 - 0.08 * (band + 1))
        paint = canvas.varied((205, 45, 45), 5) if band % 2 == 0 else (248, 248, 244)
        canvas.polygon([(x - low_half, low), (x + low_half, low), (x + high_half, high), (x - high_half, high)], paint)
    top = base - tall
    canvas.box(x - 0.062 * size, top - 0.012 * size, x + 0.062 * size, top + 0.008 * size, (60, 60, 66))
    canvas.box(x - 0.034 * size, top - 0.07 * size, x + 0.034 * size, top - 0.012 * size, (255, 240, 150))
    canvas.polygon(
        [(x - 0.05 * size, top - 0.07 * size), (x, top - 0.13 * size), (x + 0.05 * size, top - 0.07 * size)],
        (180, 40, 40),
    )


def balloon(canvas: Canvas, x: float, base: float, size: float, colour: str) -> None:
    """Outside the vocabulary: a hot-air balloon in the sky, a subject for an adapter."""
    y, radius = 0.30, 0.17 * size
    for line in (-0.6, 0.6):
        canvas.line([(x + line * radius, y + radius * 0.8), (x + line * 0.035, y + radius * 1.75)], (90, 70, 55), 0.008)
    canvas.polygon(
        [
            (x - radius * 0.85, y + radius * 0.5),
            (x + radius * 0.85, y + radius * 0.5),
            (x + 0.03, y + radius * 1.4),
            (x - 0.03, y + radius * 1.4),
        ],
        (225, 60, 50),
    )
    canvas.oval(x, y, radius, radius, canvas.varied((225, 60, 50), 6))
    canvas.oval(x, y, radius * 0.66, radius, canvas.varied((250, 205, 60), 6))
    canvas.oval(x, y, radius * 0.28, radius, canvas.varied((60, 110, 210), 6))
    canvas.box(x - 0.035, y + radius * 1.7, x + 0.035, y + radius * 1.7 + 0.05, (130, 90, 55))


SUBJECTS = {
    "house": house,
    "tree": tree,
    "boat": boat,
    "car": car,
    "tent": tent,
    "lighthouse": lighthouse,
    "hot-air balloon": balloon,
}
