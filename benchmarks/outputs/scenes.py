"""Pictures of many kinds, drawn from chance: (height, width, 3 or 4) uint8.

PHOTOGRAPHIC scenes have noise and shades everywhere, as cameras and diffusion models give. DRAWN ones are flat: nobody
could tell a band that was lost from one that was drawn, so the corpus cuts none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.outputs.item import Random

Pixels = NDArray[np.uint8]
Scene = Callable[[Random, int, int], Pixels]


def field(random: Random, height: int, width: int, power: float) -> NDArray[np.float64]:
    """A random field, -1 to 1, whose amplitudes fall with frequency to this power: 1 rough, 2 like clouds."""
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    strength = np.maximum(np.hypot(down, across), 1 / max(height, width)) ** -power
    wave = np.fft.irfft2(np.fft.rfft2(random.normal(size=(height, width))) * strength, s=(height, width))
    wave -= wave.mean()
    return wave / np.abs(wave).max()


def grain(random: Random, values: NDArray[np.float64], sigma: float) -> Pixels:
    """Levels with a camera's noise, rounded and clipped."""
    return np.clip(np.rint(values + random.normal(scale=sigma, size=values.shape)), 0, 255).astype(np.uint8)


def landscape(random: Random, height: int, width: int) -> Pixels:
    """Sky, hills one behind the other, ground."""
    levels = np.empty((height, width, 3))
    sky, low = random.uniform(120, 250, 3), random.uniform(160, 254, 3)
    levels[:] = sky + (low - sky) * np.linspace(0, 1, height)[:, None, None]
    levels += 12 * field(random, height, width, 1.8)[..., None]
    rows = np.arange(height)[:, None]
    for depth in range(random.integers(2, 6)):
        ridge = height * (0.35 + 0.15 * depth) + height * 0.15 * field(random, 2, width, 1.4)[0]
        colour = random.uniform(20, 170, 3) * (1 - 0.1 * depth)
        texture = 35 * field(random, height, width, random.uniform(0.9, 1.5))
        levels = np.where((rows > ridge)[..., None], colour + texture[..., None], levels)
    return grain(random, levels, random.uniform(0.8, 4))


def portrait(random: Random, height: int, width: int) -> Pixels:
    """Soft blobs before a blurred background, with a vignette."""
    rows, columns = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    levels = random.uniform(30, 160, 3) + 50 * field(random, height, width, 2.2)[..., None]
    for _ in range(random.integers(3, 9)):
        centre, size = random.uniform(0.2, 0.8, 2), random.uniform(0.05, 0.3, 2)
        weight = np.exp(-(((rows - centre[0]) / size[0]) ** 2 + ((columns - centre[1]) / size[1]) ** 2) * 2)
        levels += weight[..., None] * (random.uniform(40, 240, 3) - levels)
    vignette = 1 - random.uniform(0, 0.9) * ((rows - 0.5) ** 2 + (columns - 0.5) ** 2) * 2
    return grain(random, levels * vignette[..., None], random.uniform(0.5, 3))


def texture(random: Random, height: int, width: int) -> Pixels:
    """Sand, bark, grass: rough all over."""
    rough = field(random, height, width, random.uniform(0.6, 1.2))
    tint = random.uniform(0.6, 1.0, 3)
    return grain(random, (random.uniform(70, 170) + 90 * rough[..., None]) * tint, random.uniform(0.5, 5))


def night(random: Random, height: int, width: int) -> Pixels:
    """A dark sky, black houses with lit windows, a street whose blacks are clipped."""
    levels = np.full((height, width, 3), random.uniform(4, 22)) * random.uniform(0.5, 1.4, 3)
    levels += 5 * field(random, height, width, 1.6)[..., None]
    at = 0
    while at < width:
        wide = int(random.integers(max(6, width // 24), width // 5))
        top = int(height * random.uniform(0.25, 0.8))
        levels[top:, at : at + wide] = random.uniform(-4, 3)
        for _ in range(random.integers(0, 14)):
            row, column = random.integers(top, height - 4), at + random.integers(0, wide)
            levels[row : row + 4, column : column + 3] = random.uniform(90, 255, 3)
        at += wide
    street = height - int(height * random.uniform(0.0, 0.25))
    levels[street:] = np.linspace(2, random.uniform(-12, 8), height - street)[:, None, None]
    return grain(random, levels, random.uniform(0.6, 2.5))


def stage(random: Random, height: int, width: int) -> Pixels:
    """A lit subject above a floor that fades into exact black."""
    rows, columns = np.mgrid[0:height, 0:width]
    centre = height * random.uniform(0.2, 0.45), width * random.uniform(0.3, 0.7)
    spot = np.exp(-(((rows - centre[0]) / (height * 0.25)) ** 2 + ((columns - centre[1]) / (width * 0.25)) ** 2))
    levels = (
        240 * spot[..., None] * random.uniform(0.5, 1, 3)
        + 20 * field(random, height, width, 1.2)[..., None] * spot[..., None]
    )
    levels -= random.uniform(1, 6)
    return grain(random, levels, random.uniform(0.3, 1.5))


def stars(random: Random, height: int, width: int) -> Pixels:
    """Stars in an exactly black sky."""
    levels = np.zeros((height, width, 3))
    for _ in range(max(40, height * width // int(random.integers(300, 1500)))):
        row, column = random.integers(0, height - 2), random.integers(0, width - 2)
        levels[row : row + 2, column : column + 2] = random.uniform(60, 255)
    soft = np.asarray(Image.fromarray(levels.astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6)))
    return soft.copy()


def seascape(random: Random, height: int, width: int) -> Pixels:
    """A straight horizon, blurred as lenses blur; the sky may be blown out."""
    horizon = int(height * random.uniform(0.3, 0.6))
    sky, sea = random.uniform(200, 270), random.uniform(40, 120)
    step = 1 / (1 + np.exp(-(np.arange(height) - horizon) / random.uniform(0.6, 1.5)))
    levels = np.repeat((sky + (sea - sky) * step)[:, None], width, axis=1)
    levels += 25 * step[:, None] * field(random, height, width, 1.1)
    return grain(random, levels[..., None] * random.uniform(0.9, 1.05, 3), random.uniform(0.5, 2))


def fog(random: Random, height: int, width: int) -> Pixels:
    """Bright, nearly white, clipped in places."""
    levels = random.uniform(225, 262) + 25 * field(random, height, width, 2.0)
    return grain(random, np.repeat(levels[..., None], 3, axis=2), random.uniform(0.5, 2))


def product(random: Random, height: int, width: int) -> Pixels:
    """A thing with texture and a soft shadow before exact white."""
    return _cut_out(random, height, width, 255)


def product_on_black(random: Random, height: int, width: int) -> Pixels:
    """A thing with texture before exact black."""
    return _cut_out(random, height, width, 0)


def _cut_out(random: Random, height: int, width: int, ground: int) -> Pixels:
    shape, draw = _canvas(height, width)
    for _ in range(random.integers(1, 4)):
        x, y = width * random.uniform(0.2, 0.45), height * random.uniform(0.15, 0.45)
        box = (x, y, x + width * random.uniform(0.15, 0.4), y + height * random.uniform(0.2, 0.45))
        (draw.ellipse if random.random() < 0.6 else draw.rectangle)(box, fill=255)
    mask = np.asarray(shape.filter(ImageFilter.GaussianBlur(0.8))) / 255.0
    surface = random.uniform(60, 200, 3) + 50 * field(random, height, width, 1.3)[..., None]
    back = np.full((height, width, 3), float(ground))
    if ground:
        shadow = np.asarray(shape.filter(ImageFilter.GaussianBlur(width / 30))) / 255.0
        back -= 60 * np.roll(shadow, height // 40, axis=0)[..., None]
    things = grain(random, surface, 1.5)
    return np.rint(back * (1 - mask[..., None]) + things * mask[..., None]).astype(np.uint8)


def gradient(random: Random, height: int, width: int) -> Pixels:
    """A smooth gradient without any noise: straight, slanted or round."""
    rows, columns = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    angle = random.choice([0.0, np.pi / 2, np.pi, random.uniform(0, 2 * np.pi)])
    way = rows * np.cos(angle) + columns * np.sin(angle)
    if random.random() < 0.25:
        way = np.hypot(rows - 0.5, columns - 0.5)
    way = (way - way.min()) / np.ptp(way)
    first, second = random.uniform(0, 255, 3), random.uniform(0, 255, 3)
    return np.rint(first + (second - first) * way[..., None]).astype(np.uint8)


def film(random: Random, height: int, width: int) -> Pixels:
    """A picture with black bars above and below, or left and right."""
    picture = landscape(random, height, width)
    share = random.uniform(0.06, 0.2)
    if random.random() < 0.75:
        bar = int(height * share)
        picture[:bar] = picture[height - bar - int(random.integers(0, 2)) :] = 0
    else:
        bar = int(width * share)
        picture[:, :bar] = picture[:, width - bar :] = 0
    return picture


def framed(random: Random, height: int, width: int) -> Pixels:
    """A print with a border on all sides, the lower one wider as instant pictures have it."""
    picture = portrait(random, height, width)
    side, low = int(width * random.uniform(0.03, 0.08)), int(height * random.uniform(0.05, 0.2))
    colour = random.choice([255, 250, 0, 30])
    picture[:side] = picture[height - low :] = colour
    picture[:, :side] = picture[:, width - side :] = colour
    return picture


def sheet(random: Random, height: int, width: int) -> Pixels:
    """Four pictures with gutters between."""
    picture = np.concatenate([
        np.concatenate([landscape(random, height // 2, width // 2), portrait(random, height // 2, width // 2)], axis=1),
        np.concatenate([texture(random, height // 2, width // 2), landscape(random, height // 2, width // 2)], axis=1),
    ])  # fmt: skip
    gutter = max(1, int(width * random.uniform(0.005, 0.015)))
    colour = random.choice([255, 0])
    down, across = picture.shape[0] // 2, picture.shape[1] // 2
    picture[down - gutter : down + gutter] = colour
    picture[:, across - gutter : across + gutter] = colour
    return picture


def flag(random: Random, height: int, width: int) -> Pixels:
    """Two or three stripes."""
    picture = np.empty((height, width, 3), np.uint8)
    count = int(random.integers(2, 4))
    lying = random.random() < 0.6
    for number in range(count):
        colour = random.choice([[0, 0, 0], [255, 255, 255], random.integers(0, 256, 3).tolist()])
        if lying:
            picture[height * number // count :] = colour
        else:
            picture[:, width * number // count :] = colour
    if not picture.var(axis=(0, 1)).any():
        picture[: height // 3] = 200, 30, 40
    return picture


def chart(random: Random, height: int, width: int) -> Pixels:
    """Bars and axes on white."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    foot = int(height * 0.88)
    draw.line((width * 0.1, height * 0.08, width * 0.1, foot, width * 0.95, foot), fill="black", width=2)
    for number in range(8):
        x = width * (0.13 + 0.1 * number)
        colour = tuple(random.integers(0, 220, 3).tolist())
        draw.rectangle((x, foot - height * random.uniform(0.1, 0.75), x + width * 0.07, foot), fill=colour)
        draw.text((x, foot + 4), str(number), fill="black")
    return np.asarray(image).copy()


def page(random: Random, height: int, width: int) -> Pixels:
    """Lines of text, not down to the foot."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    letters = list("abcdefghijklmnopqrstuvwxyz     ")
    for row in range(int(height * 0.06), int(height * random.uniform(0.4, 0.93)), 13):
        line = "".join(random.choice(letters, max(4, width // 8)))
        draw.text((width * 0.08, row), line, fill=(20, 20, 20))
    return np.asarray(image).copy()


def screenshot(random: Random, height: int, width: int) -> Pixels:
    """Bars, buttons and text in flat colours, a footer with words."""
    dark, light = tuple(random.integers(0, 60, 3).tolist()), tuple(random.integers(225, 256, 3).tolist())
    if random.random() < 0.4:
        dark, light = (0, 0, 0), (255, 255, 255)
    image = Image.new("RGB", (width, height), light)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, height * 0.08), fill=dark)
    draw.rectangle((0, height * 0.93, width, height), fill=dark)
    draw.text((8, height * 0.945), "ready   12 files   main", fill=light)
    for number in range(6):
        y = height * (0.13 + 0.12 * number)
        draw.rounded_rectangle((width * 0.05, y, width * 0.4, y + height * 0.08), 6, fill=dark, outline="grey")
        draw.text((width * 0.45, y + 4), "name of a thing " * 2, fill=dark)
    return np.asarray(image).copy()


def codes(random: Random, height: int, width: int) -> Pixels:
    """Black and white modules, as of a QR code or a checkerboard."""
    side = int(random.choice([4, 6, 8]))
    modules = random.integers(0, 2, (height // side - 4, width // side - 4))
    modules[0, 0], modules[-1, -1] = 1, 0
    code = np.kron(np.pad(modules, 2, constant_values=1), np.ones((side, side), np.int64)) * 255
    return np.repeat(code.astype(np.uint8)[..., None], 3, axis=2)


def icon(random: Random, height: int, width: int) -> Pixels:
    """A drawn sign on transparent ground."""
    big = Image.new("RGBA", (width * 2, height * 2))
    draw = ImageDraw.Draw(big)
    for _ in range(random.integers(1, 5)):
        x, y = width * random.uniform(0.2, 1.0), height * random.uniform(0.2, 1.0)
        box = (x, y, x + width * random.uniform(0.3, 0.8), y + height * random.uniform(0.3, 0.8))
        colour = (*random.integers(0, 256, 3).tolist(), 255)
        (draw.ellipse if random.random() < 0.5 else draw.rectangle)(box, fill=colour)
    return np.asarray(big.resize((width, height), Image.Resampling.LANCZOS)).copy()


def poster(random: Random, height: int, width: int) -> Pixels:
    """A flat drawing: one sky, one ground, a sun."""
    image = Image.new("RGB", (width, height), tuple(random.integers(90, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    x, y, radius = (
        width * random.uniform(0.2, 0.8),
        height * random.uniform(0.2, 0.5),
        height * random.uniform(0.08, 0.2),
    )
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(random.integers(0, 256, 3).tolist()))
    draw.rectangle(
        (0, height * random.uniform(0.6, 0.85), width, height), fill=tuple(random.integers(1, 120, 3).tolist())
    )
    return np.asarray(image).copy()


@cache
def photographs() -> tuple[Pixels, ...]:
    """Real photographs out of scikit-image and scikit-learn, where those are installed (the extra `corpus`)."""
    try:
        import skimage.data
        from sklearn.datasets import load_sample_images
    except ImportError:
        return ()
    names = ("astronaut", "camera", "chelsea", "coffee", "coins", "rocket", "retina", "moon", "hubble_deep_field")
    names += ("immunohistochemistry", "brick", "grass", "gravel", "clock", "cell")
    pictures = [*(getattr(skimage.data, name)() for name in names), *load_sample_images().images]
    return tuple(one if one.ndim == 3 else np.repeat(one[..., None], 3, axis=2) for one in pictures)


def photograph(random: Random, height: int, width: int) -> Pixels:
    """A part of a real photograph, scaled; one in four much darker."""
    whole = photographs()[random.integers(len(photographs()))]
    share = random.uniform(0.5, 1.0)
    tall, wide = int(whole.shape[0] * share), int(whole.shape[1] * share)
    top, left = random.integers(0, whole.shape[0] - tall + 1), random.integers(0, whole.shape[1] - wide + 1)
    part = Image.fromarray(whole[top : top + tall, left : left + wide])
    picture = np.asarray(part.resize((width, height), Image.Resampling.LANCZOS)).copy()
    return (picture * random.uniform(0.08, 0.3)).astype(np.uint8) if random.random() < 0.25 else picture


def _canvas(height: int, width: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (width, height))
    return image, ImageDraw.Draw(image)


PHOTOGRAPHIC: dict[str, Scene] = {
    one.__name__: one
    for one in (
        landscape, portrait, texture, night, stage, seascape, fog, product, product_on_black, gradient, film,
    )
}  # fmt: skip
DRAWN: dict[str, Scene] = {
    one.__name__: one for one in (stars, framed, sheet, flag, chart, page, screenshot, codes, icon, poster)
}
