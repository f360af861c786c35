"""A canvas of 256 x 256, drawn at twice the size of the picture that comes of it, so that edges are smooth."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 128  # pixels of a finished picture
WORK = 2 * SIDE

Colour = tuple[float, float, float]


class Canvas:
    """Coordinates run from 0 to 1, left to right and top to bottom; colours from 0 to 255."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.light: Colour = (1.0, 1.0, 1.0)  # what every colour but the sky's is multiplied with
        self.image = Image.new("RGB", (WORK, WORK))
        self._draw = ImageDraw.Draw(self.image)

    def lit(self, colour: Colour) -> tuple[int, int, int]:
        """The colour in the light of the scene."""
        red, green, blue = (int(np.clip(part * light, 0, 255)) for part, light in zip(colour, self.light))
        return red, green, blue

    def varied(self, colour: Colour, by: float = 12.0) -> Colour:
        """The colour, a little lighter or darker and a little off."""
        shift = self.rng.normal(0, by) + self.rng.normal(0, by / 3, 3)
        red, green, blue = (float(part) for part in np.clip(np.array(colour) + shift, 0, 255))
        return red, green, blue

    def gradient(self, top: Colour, bottom: Colour, start: float = 0.0, end: float = 1.0) -> None:
        """Fill rows `start` to `end` from one colour to another."""
        first, last = int(start * WORK), int(end * WORK)
        steps = np.linspace(0, 1, max(1, last - first))[:, None]
        rows = np.array(top) * (1 - steps) + np.array(bottom) * steps
        band = np.broadcast_to(rows[:, None], (len(rows), WORK, 3)).clip(0, 255).astype(np.uint8)
        self.image.paste(Image.fromarray(band), (0, first))

    def polygon(self, points: list[tuple[float, float]], colour: Colour) -> None:
        self._draw.polygon([(x * WORK, y * WORK) for x, y in points], fill=self.lit(colour))

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self._draw.rectangle([left * WORK, top * WORK, right * WORK, bottom * WORK], fill=self.lit(colour))

    def oval(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """An ellipse around (x, y) with these half axes."""
        self._draw.ellipse(
            [(x - width) * WORK, (y - height) * WORK, (x + width) * WORK, (y + height) * WORK], fill=self.lit(colour)
        )

    def line(self, points: list[tuple[float, float]], colour: Colour, width: float) -> None:
        self._draw.line(
            [(x * WORK, y * WORK) for x, y in points],
            fill=self.lit(colour),
            width=max(1, int(width * WORK)),
            joint="curve",
        )

    def land(self, heights: np.ndarray, colour: Colour) -> None:
        """Fill below a line of heights that runs from the left edge to the right one."""
        xs = np.linspace(0, 1, len(heights))
        self.polygon([(0, 1.01), *zip(xs, heights), (1, 1.01)], colour)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Light around a point, fading out."""
        ys, xs = np.mgrid[0:WORK, 0:WORK] / WORK
        fade = strength * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * radius**2))[..., None]
        mixed = np.asarray(self.image, dtype=np.float32) * (1 - fade) + np.array(colour, dtype=np.float32) * fade
        self.image.paste(Image.fromarray(mixed.clip(0, 255).astype(np.uint8)))

    def soft_ovals(
        self, ovals: list[tuple[float, float, float, float]], colour: Colour, opacity: float, blur: float
    ) -> None:
        """Ellipses with a soft edge, laid over the picture."""
        mask = Image.new("L", (WORK, WORK))
        draw = ImageDraw.Draw(mask)
        for x, y, width, height in ovals:
            draw.ellipse(
                [(x - width) * WORK, (y - height) * WORK, (x + width) * WORK, (y + height) * WORK],
                fill=int(255 * opacity),
            )
        mask = mask.filter(ImageFilter.GaussianBlur(blur * WORK))
        self.image.paste(Image.new("RGB", (WORK, WORK), tuple(int(part) for part in colour)), mask=mask)

    def finished(self, grain: float = 3.0) -> Image.Image:
        """The picture, 128 x 128, with a fine grain, and nowhere quite black."""
        small = np.asarray(self.image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)
        small = small + self.rng.normal(0, grain, small.shape[:2])[..., None]
        return Image.fromarray((16 + small * (239 / 255)).clip(0, 255).astype(np.uint8))
