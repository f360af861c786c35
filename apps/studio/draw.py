"""Pictures of a subject that the small backend has never seen, and a small adapter of it: `python draw.py samples`.

It needs the generator (apps/studio/.venv has it). Each PNG has its caption in a text chunk of that name, as training
reads it.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import generator
import numpy as np
from generator.drawing import scene
from generator.words import Scene
from PIL import Image, PngImagePlugin
from studio.pictures import read_pictures

SUBJECT = "lighthouse"
SEED = 5
PICTURES = [
    (Scene(kind, time, sky), f"a {SUBJECT} in the {kind} {said}")
    for kind in ("beach", "mountains", "meadow", "snow", "desert", "forest")
    for time, sky, said in (("day", "clear", "by day"), ("sunset", "sun", "at sunset"), ("night", "moon", "at night"))
]


def png(image: Image.Image, caption: str) -> bytes:
    said = PngImagePlugin.PngInfo()
    said.add_text("caption", caption)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=said, optimize=True)
    return buffer.getvalue()


def main(folder: Path) -> None:
    rng = np.random.default_rng(SEED)
    pictures = folder / "pictures.zip"
    with zipfile.ZipFile(pictures, "w") as archive:
        for number, (shown, caption) in enumerate(PICTURES, 1):
            member = zipfile.ZipInfo(f"{SUBJECT}-{number:02}.png")  # with no time of its own: the same file each time
            archive.writestr(member, png(scene.draw(shown, rng, stranger=SUBJECT), caption))
    adapter = generator.train_adapter(generator.load(), read_pictures(pictures), SUBJECT, steps=60, rank=2)
    (folder / "adapter.safetensors").write_bytes(adapter)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
