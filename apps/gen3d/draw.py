"""Draws the samples: objects with their masks. `python draw.py DIR`."""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 480


def canvas() -> tuple[Image.Image, Image.Image]:
    down = np.linspace(0, 1, SIDE)[:, None, None]
    table = np.array([232, 226, 214]) * (1 - down) + np.array([176, 164, 148]) * down
    ground = np.broadcast_to(table, (SIDE, SIDE, 3)).astype(np.uint8)
    return Image.fromarray(ground), Image.new("L", (SIDE, SIDE))


def shaded(mask: Image.Image, colour: tuple[int, int, int], pattern: Image.Image | None = None) -> Image.Image:
    """Light from the upper left over something round."""
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(38)), np.float32) / 255
    light = np.clip(0.45 + 0.75 * soft - 0.25 * np.linspace(0, 1, SIDE)[:, None], 0.25, 1.15)
    base = np.full((SIDE, SIDE, 3), colour, np.float32) if pattern is None else np.asarray(pattern, np.float32)
    return Image.fromarray((base * light[:, :, None]).clip(0, 255).astype(np.uint8))


def teapot() -> tuple[Image.Image, Image.Image]:
    picture, mask = canvas()
    pen = ImageDraw.Draw(mask)
    pen.ellipse((110, 170, 350, 380), fill=255)
    pen.ellipse((160, 145, 300, 215), fill=255)
    pen.ellipse((212, 118, 248, 156), fill=255)
    pen.polygon([(330, 300), (342, 240), (410, 175), (438, 178), (400, 240), (346, 340)], fill=255)
    pen.arc((48, 190, 190, 330), 70, 300, fill=255, width=26)
    pen.rounded_rectangle((160, 365, 300, 392), 10, fill=255)
    glaze = Image.new("RGB", (SIDE, SIDE), (46, 98, 150))
    brush = ImageDraw.Draw(glaze)
    brush.rectangle((0, 250, SIDE, 268), fill=(236, 232, 220))
    brush.rectangle((0, 310, SIDE, 322), fill=(236, 232, 220))
    for column in range(118, 350, 34):
        brush.ellipse((column, 276, column + 20, 300), fill=(226, 180, 74))
    picture.paste(shaded(mask, (46, 98, 150), glaze), mask=mask)
    return picture, mask


def pear() -> tuple[Image.Image, Image.Image]:
    picture, mask = canvas()
    pen = ImageDraw.Draw(mask)
    pen.ellipse((140, 210, 350, 420), fill=255)
    pen.ellipse((185, 110, 305, 300), fill=255)
    pen.polygon([(160, 270), (190, 190), (300, 190), (335, 280)], fill=255)
    skin = Image.new("RGB", (SIDE, SIDE), (176, 190, 62))
    brush = ImageDraw.Draw(skin)
    brush.ellipse((250, 250, 420, 440), fill=(206, 120, 58))
    skin = skin.filter(ImageFilter.GaussianBlur(26))
    pen.line((248, 120, 268, 60), fill=255, width=14)
    ImageDraw.Draw(skin).line((248, 112, 268, 56), fill=(92, 62, 34), width=20)
    picture.paste(shaded(mask, (176, 190, 62), skin), mask=mask)
    return picture, mask


OBJECTS = {"teapot": teapot, "pear": pear}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in OBJECTS.items():
        picture, mask = draw()
        picture.save(folder / f"{name}.png", optimize=True)
        mask.save(folder / f"{name}-mask.png", optimize=True)
    (folder / "get_embedding.json").write_text(
        json.dumps({"session_id": "test-session-001", "user_id": "test-user"}) + "\n"
    )
    (folder / "generate_3d.json").write_text(json.dumps({"quality": "fast", "session_id": "test-session-001"}) + "\n")


if __name__ == "__main__":
    main()
