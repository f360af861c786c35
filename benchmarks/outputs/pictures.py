"""Good pictures in many formats, and what can happen to them."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from benchmarks.outputs import scenes
from benchmarks.outputs.item import Item, Maker, Random
from benchmarks.outputs.scenes import Pixels
from seatrial.prove.validate import DEFAULT, STUDIO, Profile

FORMATS = ("png", "png", "png", "jpeg", "jpeg", "webp", "gif", "bmp", "tiff", "avif")
LOSSY_QUALITY = (60, 96)
FILLS = {"black": (0, 0, 0), "grey": (128, 128, 128), "white": (255, 255, 255)}
BLOCKS = (1, 8, 16)  # lines that a decoder finishes together


def encoded(random: Random, pixels: Pixels, form: str) -> bytes:
    """A file of that format, with the options of different writers."""
    image, quality, file = Image.fromarray(pixels), int(random.integers(*LOSSY_QUALITY)), io.BytesIO()
    if form == "jpeg":
        image.convert("RGB").save(file, "JPEG", quality=quality, progressive=bool(random.random() < 0.3))
    elif form == "webp":
        image.save(file, "WEBP", quality=quality, lossless=bool(random.random() < 0.3))
    elif form == "avif":
        image.save(file, "AVIF", quality=quality, speed=10)
    elif form == "gif":
        image.convert("RGB").save(file, "GIF")
    elif form == "bmp":
        image.convert("RGB").save(file, "BMP")
    elif form == "png" and random.random() < 0.15:
        image.quantize(64).save(file, "PNG")
    else:
        image.save(file, form.upper())
    return file.getvalue()


def drawn(random: Random, pool: dict[str, scenes.Scene]) -> tuple[str, Pixels]:
    """A scene and its name; real photographs among the photographic ones, where there are any."""
    height, width = (int(side) for side in random.integers(160, 641, 2))
    if pool is scenes.PHOTOGRAPHIC and scenes.photographs() and random.random() < 0.4:
        return "photograph", scenes.photograph(random, height, width)
    name = str(random.choice(list(pool)))
    return name, pool[name](random, height, width)


def expecting(pixels: Pixels) -> Profile:
    """The default profile, with the picture's own size as the expected one."""
    return replace(DEFAULT, image=replace(DEFAULT.image, height=pixels.shape[0], width=pixels.shape[1]))


def item(random: Random, what: str, pixels: Pixels, damage: str = "", form: str | None = None) -> Item:
    """The picture in a file of a format that chance picks."""
    chosen = form or str(random.choice(FORMATS))
    if pixels.shape[2] == 4 and chosen in ("jpeg", "gif", "bmp"):
        chosen = "png"
    data = encoded(random, pixels, chosen)
    return Item(f"picture.{chosen}", "image", data, f"{what}, {chosen}", damage, expecting(pixels))


# --- good -----------------------------------------------------------------------------------------


def good_photographic(random: Random) -> Item:
    return item(random, *drawn(random, scenes.PHOTOGRAPHIC))


def good_drawn(random: Random) -> Item:
    return item(random, *drawn(random, scenes.DRAWN))


def good_of(name: str) -> Maker:
    """Only this scene: for those that are taken for damage most easily."""

    def make(random: Random) -> Item:
        scene = (scenes.PHOTOGRAPHIC | scenes.DRAWN)[name]
        return item(random, name, scene(random, *(int(side) for side in random.integers(160, 641, 2))))

    return make


def good_depth(random: Random) -> Item:
    """A depth map of 16 bits."""
    levels = 3000 + 2500 * scenes.field(random, 300, 240, 2.0)
    file = io.BytesIO()
    Image.fromarray(levels.astype(np.uint16)).save(file, "PNG")
    return Item("depth.png", "image", file.getvalue(), "depth map")


def good_mask(random: Random) -> Item:
    """A mask of a thing that may touch an edge."""
    mask = (scenes.field(random, 256, 320, 2.2) > random.uniform(0.1, 0.5)).astype(np.uint8) * 255
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return Item("mask.png", "image", file.getvalue(), "mask")


def good_studio(random: Random) -> Item:
    """What the studio's profile is for: 1024 x 1024, full of detail."""
    pixels = (scenes.landscape if random.random() < 0.5 else scenes.portrait)(random, 1024, 1024)
    return replace(item(random, "studio picture", pixels, form="png"), profile=STUDIO)


GOOD: dict[str, Maker] = {
    "photographic 1": good_photographic,
    "drawn 1": good_drawn,
    "night": good_of("night"),
    "product": good_of("product"),
    "gradient": good_of("gradient"),
    "photographic 2": good_photographic,
    "drawn 2": good_drawn,
    "stage": good_of("stage"),
    "film": good_of("film"),
    "icon": good_of("icon"),
    "photographic 3": good_photographic,
    "depth": good_depth,
    "drawn 3": good_drawn,
    "mask": good_mask,
    "studio": good_studio,
    "seascape": good_of("seascape"),
}


# --- damaged --------------------------------------------------------------------------------------


def cut_bytes(random: Random) -> Item:
    """The file ends at any byte."""
    whole = good_photographic(random) if random.random() < 0.7 else good_drawn(random)
    kept = int(random.integers(1, len(whole.data)))
    return replace(whole, data=whole.data[:kept], damage="cut at a byte")


def cut_jpeg_ended(random: Random) -> Item:
    """Coded data is missing, but the file ends as a JPEG does."""
    whole = item(random, *drawn(random, scenes.PHOTOGRAPHIC), form="jpeg")
    kept = int(random.integers(len(whole.data) // 3, len(whole.data) - 60))
    return replace(whole, data=whole.data[:kept] + b"\xff\xd9", damage="JPEG cut, with an end marker")


def zeroed_tail(random: Random) -> Item:
    """Of the right length, but the end was never written."""
    form = str(random.choice(["png", "jpeg"]))
    whole = item(random, *drawn(random, scenes.PHOTOGRAPHIC), form=form)
    kept = int(random.integers(len(whole.data) // 10, int(len(whole.data) * 0.98)))
    return replace(whole, data=whole.data[:kept].ljust(len(whole.data), b"\0"), damage="tail of zeros")


def changed_bytes(random: Random) -> Item:
    """A block in the midst was overwritten."""
    whole = item(random, *drawn(random, scenes.PHOTOGRAPHIC), form="png")
    at = int(random.integers(60, len(whole.data) - 40))
    block = random.integers(0, 256, min(512, len(whole.data) - at - 20)).astype(np.uint8).tobytes()
    data = whole.data[:at] + block + whole.data[at + len(block) :]
    return replace(whole, data=data, damage="bytes overwritten")


def stopped(random: Random) -> Item:
    """Rows from one on were never decoded, and the picture was written again."""
    what, pixels, start = _cuttable(random, 0.05, 0.92)
    colour = _fill(random, what)
    block, width = int(random.choice(BLOCKS)), pixels.shape[1]
    begun = int(random.integers(0, width))
    pixels[start : start + block, begun:] = colour
    pixels[start + block :] = colour
    return item(random, what, pixels, "decoder stopped", _rewritten(random))


def blanked_edge(random: Random) -> Item:
    """A band at any edge is of one colour."""
    what, pixels, _ = _cuttable(random, 0.4, 0.6)
    turns = int(random.integers(0, 4))
    turned = np.ascontiguousarray(np.rot90(pixels, turns))
    kept = int(len(turned) * random.uniform(0.4, 0.96))
    colour = _fill(random, what)
    if _changed(turned[kept:], colour) < 0.6 or _changed(turned[kept - 8 : kept], colour) < 0.6:
        return blanked_edge(random)
    turned[kept:] = colour
    return item(random, what, np.ascontiguousarray(np.rot90(turned, -turns)), "band at an edge", _rewritten(random))


def blanked_inside(random: Random) -> Item:
    """Strips inside were never written."""
    what, pixels, _ = _cuttable(random, 0.4, 0.6)
    height, colour = len(pixels), FILLS[str(random.choice(["black", "grey"]))]
    form = _rewritten(random)
    least = 16 if form in ("png", "bmp") else 32  # a row of blocks, and what losses leave of it
    thick = max(least, int(height * random.uniform(0.05, 0.12)))
    starts = [int(height * place) for place in (0.2, 0.45, 0.7)[: random.integers(1, 4)]]
    if any(_changed(pixels[start - 8 : start + thick + 8], colour) < 0.6 for start in starts):
        return blanked_inside(random)
    for start in starts:
        pixels[start : start + thick] = colour
    return item(random, what, pixels, "strips inside", form)


def repeated(random: Random) -> Item:
    """The last decoded row down to the bottom."""
    name = str(random.choice(["landscape", "texture", "portrait"]))
    pixels = scenes.PHOTOGRAPHIC[name](random, *(int(side) for side in random.integers(160, 641, 2)))
    start = int(len(pixels) * random.uniform(0.2, 0.95))
    pixels[start:] = pixels[start]
    return item(random, name, pixels, "last row repeated", "png")


def transparent_rest(random: Random) -> Item:
    """Rows from one on are transparent."""
    what, pixels, start = _cuttable(random, 0.05, 0.92)
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    opaque[start:] = 0
    return item(random, what, opaque, "transparent rest", str(random.choice(["png", "webp"])))


def wrong_size(random: Random) -> Item:
    """Another size than the profile expects."""
    right = good_photographic(random)
    image = right.profile.image
    assert image.width is not None
    other = replace(image, width=int(image.width * random.choice([0.5, 2])) + int(random.integers(1, 9)))
    return replace(right, profile=replace(right.profile, image=other), damage="wrong size")


def noise(random: Random) -> Item:
    """Nothing but chance: uniform or normal, grey or coloured."""
    height, width = (int(side) for side in random.integers(160, 513, 2))
    shape = (height, width, 1 if random.random() < 0.3 else 3)
    levels = (
        random.uniform(0, 255, shape) if random.random() < 0.5 else random.normal(128, random.uniform(15, 60), shape)
    )
    pixels = np.repeat(levels, 3 // shape[2], axis=2)
    clipped = np.clip(pixels, 0, 255).astype(np.uint8)
    return item(random, "noise", clipped, "noise", str(random.choice(["png", "jpeg", "webp", "bmp"])))


def latents(random: Random) -> Item:
    """Latents shown undenoised: coloured noise, enlarged."""
    side = int(random.choice([2, 4, 8]))
    small = np.clip(random.normal(128, random.uniform(25, 60), (64, 64, 3)), 0, 255).astype(np.uint8)
    method = Image.Resampling(int(random.choice([Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])))
    pixels = np.asarray(Image.fromarray(small).resize((64 * side, 64 * side), method)).copy()
    return item(random, "latents", pixels, "enlarged noise", "png")


def flat(random: Random) -> Item:
    """All of one colour: black, the grey of NaN, anything."""
    colour = FILLS["black"], (127, 127, 127), FILLS["grey"], tuple(random.integers(0, 256, 3).tolist())
    pixels = np.empty((int(random.integers(64, 600)), int(random.integers(64, 600)), 3), np.uint8)
    pixels[:] = colour[random.integers(0, len(colour))]
    return item(random, "flat", pixels, "one colour")


def no_picture(random: Random) -> Item:
    """Something else under a picture's name."""
    others = b"", b"<html><body>502 Bad Gateway</body></html>", b'{"error": "CUDA out of memory"}', bytes(4096)
    return Item("picture.png", "image", others[random.integers(0, len(others))], "no picture", "no picture")


def unfit_for_studio(random: Random) -> Item:
    """Against the studio's profile: too small a file, half black, another format, no contrast, a blank bottom."""
    kind = int(random.integers(0, 5))
    pixels = scenes.landscape(random, 1024, 1024)
    form = "png"
    if kind == 0:
        pixels = scenes.poster(random, 1024, 1024)
    elif kind == 1:
        pixels[:, : int(1024 * random.uniform(0.55, 0.9))] = 0
    elif kind == 2:
        form = "jpeg"
    elif kind == 3:
        pixels = (120 + (pixels / 32)).astype(np.uint8)
    else:
        pixels[int(1024 * random.uniform(0.5, 0.8)) :] = random.integers(0, 8)
    made = item(random, f"studio picture {kind}", pixels, "unfit for the studio profile", form)
    return replace(made, profile=STUDIO)


DAMAGED: dict[str, Maker] = {
    "cut at a byte": cut_bytes,
    "decoder stopped": stopped,
    "band at an edge": blanked_edge,
    "cut at a byte, again": cut_bytes,
    "decoder stopped, again": stopped,
    "band at an edge, again": blanked_edge,
    "JPEG cut, with an end marker": cut_jpeg_ended,
    "strips inside": blanked_inside,
    "noise": noise,
    "wrong size": wrong_size,
    "tail of zeros": zeroed_tail,
    "bytes overwritten": changed_bytes,
    "one colour": flat,
    "last row repeated": repeated,
    "transparent rest": transparent_rest,
    "enlarged noise": latents,
    "no picture": no_picture,
    "unfit for the studio profile": unfit_for_studio,
}


def _cuttable(random: Random, first: float, last: float) -> tuple[str, Pixels, int]:
    """A photographic scene, and a row from which on something is lost when it is blanked, with content before it."""
    while True:
        what, pixels = drawn(random, scenes.PHOTOGRAPHIC)
        start = int(len(pixels) * random.uniform(first, last))
        fills = [_changed(pixels[start:], colour) for colour in FILLS.values()]
        beside = [_changed(pixels[start - 8 : start], colour) for colour in FILLS.values()]
        if min(*fills, *beside) >= 0.6:
            return what, pixels, start


def _changed(pixels: Pixels, colour: tuple[int, ...]) -> float:
    """The share of pixels that can be told from the colour: otherwise nothing is lost."""
    return float((np.abs(pixels[..., :3].astype(np.int16) - np.array(colour)).max(axis=2) > 4).mean())


def _fill(random: Random, what: str) -> tuple[int, ...]:
    """What is left where nothing was decoded: mostly black. A gradient above white could be drawn so."""
    return FILLS[str(random.choice(["black", "black", "grey", "grey" if what == "gradient" else "white"]))]


def _rewritten(random: Random) -> str:
    return str(random.choice(["png", "png", "jpeg", "webp", "bmp"]))
