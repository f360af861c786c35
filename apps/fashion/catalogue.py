"""Draws a catalogue of clothes whose category, colours, pattern and gender class are known.

`python catalogue.py DIR --items 640 --seed 1` writes `DIR/<group>/<category>/<group>_<category><number>.png`,
`DIR/genders.json` and `DIR/truth.json`. Each item has a shape of its own (lengths, widths, collars), a light, a tilt, a
ground.
"""

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 256
DRAWN = 512  # twice the size, brought down for smooth edges

COLOURS = {
    "black": (28, 28, 32), "white": (236, 235, 230), "grey": (132, 134, 138), "navy": (32, 44, 92),
    "blue": (52, 104, 186), "teal": (28, 128, 128), "green": (62, 130, 66), "olive": (112, 116, 58),
    "yellow": (226, 190, 62), "orange": (218, 118, 44), "red": (190, 44, 48), "burgundy": (108, 28, 48),
    "pink": (222, 142, 168), "purple": (112, 66, 150), "beige": (208, 186, 150), "brown": (104, 68, 44),
}  # fmt: skip
PATTERNS = ("plain", "stripes", "checks", "dots")
GROUPS = {
    "tshirt": "upperwear", "shirt": "upperwear", "jacket": "upperwear",
    "trousers": "bottomwear", "shorts": "bottomwear", "skirt": "bottomwear",
    "dress": "onepiece", "shoe": "footwear", "bag": "accessory", "cap": "accessory",
}  # fmt: skip
GENDERS = {"skirt": "female", "dress": "female"}  # of what has one; the others are drawn by chance

Pen = ImageDraw.ImageDraw
Shape = Callable[[Pen, random.Random], None]


def tshirt(pen: Pen, dice: random.Random) -> None:
    wide, long, sleeve = dice.randint(84, 104), dice.randint(330, 390), dice.randint(90, 140)
    pen.polygon([(256 - wide, 120), (256 + wide, 120), (256 + wide, long), (256 - wide, long)], fill=255)
    for side in (-1, 1):
        pen.polygon(
            [
                (256 + side * (wide - 22), 118),
                (256 + side * (wide + 66), 118 + sleeve),
                (256 + side * (wide + 14), 146 + sleeve),
                (256 + side * (wide - 14), 190),
            ],
            fill=255,
        )
    pen.ellipse((256 - 44, 92, 256 + 44, 150), fill=0)


def shirt(pen: Pen, dice: random.Random) -> None:
    wide, long = dice.randint(80, 98), dice.randint(360, 420)
    pen.polygon([(256 - wide, 112), (256 + wide, 112), (256 + wide + 6, long), (256 - wide - 6, long)], fill=255)
    for side in (-1, 1):
        pen.polygon(
            [
                (256 + side * (wide - 20), 110),
                (256 + side * (wide + 74), 340),
                (256 + side * (wide + 36), 358),
                (256 + side * (wide - 12), 190),
            ],
            fill=255,
        )
        pen.polygon([(256, 132), (256 + side * 54, 86), (256 + side * 66, 126)], fill=255)


def jacket(pen: Pen, dice: random.Random) -> None:
    wide, long = dice.randint(104, 122), dice.randint(380, 440)
    pen.rounded_rectangle((256 - wide, 104, 256 + wide, long), 18, fill=255)
    for side in (-1, 1):
        pen.polygon(
            [
                (256 + side * (wide - 30), 104),
                (256 + side * (wide + 84), 366),
                (256 + side * (wide + 36), 386),
                (256 + side * (wide - 16), 210),
            ],
            fill=255,
        )
    pen.polygon([(256 - 10, long), (256 + 10, long), (256 + 4, 180), (256 - 4, 180)], fill=0)
    pen.polygon([(256 - 52, 100), (256 + 52, 100), (256, 188)], fill=0)


def trousers(pen: Pen, dice: random.Random) -> None:
    hip, hem = dice.randint(72, 90), dice.randint(26, 38)
    for side in (-1, 1):
        pen.polygon(
            [
                (256, 70),
                (256 + side * hip, 70),
                (256 + side * (hip + 16), 450),
                (256 + side * (hip + 16 - 2 * hem), 450),
                (256, 190),
            ],
            fill=255,
        )


def shorts(pen: Pen, dice: random.Random) -> None:
    hip, long = dice.randint(84, 100), dice.randint(280, 330)
    for side in (-1, 1):
        pen.polygon(
            [
                (256, 120),
                (256 + side * hip, 120),
                (256 + side * (hip + 26), long),
                (256 + side * 14, long + 8),
                (256, 220),
            ],
            fill=255,
        )


def skirt(pen: Pen, dice: random.Random) -> None:
    hip, hem, long = dice.randint(62, 78), dice.randint(120, 172), dice.randint(340, 430)
    pen.polygon([(256 - hip, 104), (256 + hip, 104), (256 + hem, long), (256 - hem, long)], fill=255)
    pen.ellipse((256 - hem, long - 22, 256 + hem, long + 22), fill=255)


def dress(pen: Pen, dice: random.Random) -> None:
    wide, hem, long = dice.randint(62, 76), dice.randint(118, 168), dice.randint(420, 460)
    pen.polygon(
        [
            (256 - wide, 84),
            (256 + wide, 84),
            (256 + wide - 16, 214),
            (256 + hem, long),
            (256 - hem, long),
            (256 - wide + 16, 214),
        ],
        fill=255,
    )
    for side in (-1, 1):
        pen.rectangle(sorted_box(256 + side * (wide - 26), 40, 256 + side * (wide - 8), 96), fill=255)
    pen.ellipse((256 - 38, 58, 256 + 38, 118), fill=0)


def shoe(pen: Pen, dice: random.Random) -> None:
    heel = dice.randint(150, 190)
    pen.polygon(
        [
            (96, 330),
            (96, heel + 40),
            (150, heel),
            (200, heel + 20),
            (260, 272),
            (390, 300),
            (428, 340),
            (428, 360),
            (96, 360),
        ],
        fill=255,
    )
    pen.ellipse((330, 286, 434, 366), fill=255)
    pen.rectangle((90, 366, 438, 366 + dice.randint(14, 30)), fill=255)


def bag(pen: Pen, dice: random.Random) -> None:
    wide, top = dice.randint(100, 136), dice.randint(190, 226)
    pen.rounded_rectangle((256 - wide, top, 256 + wide, 420), 26, fill=255)
    pen.arc((256 - 74, top - 116, 256 + 74, top + 84), 180, 360, fill=255, width=20)


def cap(pen: Pen, dice: random.Random) -> None:
    pen.pieslice((120, 150, 360, 420), 180, 360, fill=255)
    pen.ellipse((290, 256, 290 + dice.randint(140, 180), 318), fill=255)
    pen.rectangle((120, 262, 360, 300), fill=255)


def sorted_box(left: int, top: int, right: int, bottom: int) -> tuple[int, int, int, int]:
    return min(left, right), top, max(left, right), bottom


SHAPES: dict[str, Shape] = {
    "tshirt": tshirt, "shirt": shirt, "jacket": jacket, "trousers": trousers, "shorts": shorts, "skirt": skirt,
    "dress": dress, "shoe": shoe, "bag": bag, "cap": cap,
}  # fmt: skip


def cloth(pattern: str, first: tuple[int, int, int], second: tuple[int, int, int], dice: random.Random) -> Image.Image:
    """The fabric: the first colour, with the second in its pattern."""
    fabric = Image.new("RGB", (DRAWN, DRAWN), first)
    pen = ImageDraw.Draw(fabric)
    step = dice.randint(40, 64)
    if pattern in ("stripes", "checks"):
        for place in range(0, DRAWN, step):
            pen.rectangle((0, place, DRAWN, place + step // 3), fill=second)
    if pattern == "checks":
        for place in range(0, DRAWN, step):
            pen.rectangle((place, 0, place + step // 3, DRAWN), fill=second)
    if pattern == "dots":
        for row, y in enumerate(range(0, DRAWN, step)):
            for x in range(-(row % 2) * step // 2, DRAWN, step):
                pen.ellipse((x, y, x + step // 2.4, y + step // 2.4), fill=second)
    return fabric


def draw(category: str, pattern: str, colours: tuple[str, ...], dice: random.Random) -> Image.Image:
    """One item, 256 x 256, on a pale ground with a shadow."""
    mask = Image.new("L", (DRAWN, DRAWN))
    SHAPES[category](ImageDraw.Draw(mask), dice)
    first, second = COLOURS[colours[0]], COLOURS[colours[-1]]
    fabric = np.asarray(cloth(pattern, first, second, dice), np.float32)
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(22)), np.float32) / 255
    light = 0.72 + 0.34 * soft + dice.uniform(-0.06, 0.06)
    lit = Image.fromarray((fabric * light[:, :, None] + dice.uniform(-4, 4)).clip(0, 255).astype(np.uint8))
    tone = dice.randint(218, 246)
    ground = Image.new("RGB", (DRAWN, DRAWN), (tone, tone, max(0, tone - dice.randint(0, 8))))
    shade = Image.new("RGB", (DRAWN, DRAWN), tuple(int(tone * 0.82) for _ in range(3)))
    shadow = mask.filter(ImageFilter.GaussianBlur(12))
    ground.paste(shade, (6, 10), shadow)
    ground.paste(lit, mask=mask)
    turned = ground.rotate(dice.uniform(-6, 6), Image.Resampling.BICUBIC, fillcolor=(tone, tone, tone))
    return turned.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def catalogue(items: int, seed: int) -> list[dict]:
    """What is drawn, category after category in turn: id, path, and everything that is true of it."""
    dice = random.Random(seed)
    rows = []
    for number in range(items):
        category = list(SHAPES)[number % len(SHAPES)]
        pattern = dice.choices(PATTERNS, (5, 2, 2, 2))[0]
        colours = tuple(dice.sample(list(COLOURS), 1 if pattern == "plain" else 2))
        name = f"{GROUPS[category]}_{category}{number:04d}"
        gender = GENDERS.get(category) or dice.choice(["male", "female", "unisex"])
        rows.append({
            "id": name, "path": f"{GROUPS[category]}/{category}/{name}.png", "category": category,
            "group": GROUPS[category], "colours": list(colours), "pattern": pattern,
            "gender": gender, "seed": dice.randrange(2**32),
        })  # fmt: skip
    return rows


def write(folder: Path, rows: list[dict]) -> None:
    for row in rows:
        path = folder / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(row["category"], row["pattern"], tuple(row["colours"]), random.Random(row["seed"])).save(path)
    (folder / "genders.json").write_text(json.dumps({row["id"]: row["gender"] for row in rows}, indent=1) + "\n")
    (folder / "truth.json").write_text(json.dumps({row["id"]: row for row in rows}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--items", type=int, default=640)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    write(given.folder, catalogue(given.items, given.seed))


if __name__ == "__main__":
    main()
