"""The pictures of the README, by the studio protocol: `make up`, then `../../.venv/bin/python shown.py pictures`."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

from PIL import Image

APP = Path(__file__).resolve().parent
sys.path.insert(0, str(APP / "tests" / "e2e" / "async_inference"))

from client import StudioClient

SIDE = 240
PROMPTS = [
    "a red house in the mountains at sunset with clouds",
    "a blue sailing boat, the open sea at night with a full moon",
    "a yellow tent in the desert at dawn",
    "a city by day",
]
ADAPTED = [
    "a lighthouse in the meadow by day",
    "a lighthouse on the beach at sunset",
    "a lighthouse in the snow at night",
]


def row(pictures: list[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (SIDE * len(pictures) + 8 * (len(pictures) - 1), SIDE), "white")
    for number, picture in enumerate(pictures):
        sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (number * (SIDE + 8), 0))
    return sheet


def stacked(rows: list[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (rows[0].width, SIDE * len(rows) + 8 * (len(rows) - 1)), "white")
    for number, one in enumerate(rows):
        sheet.paste(one, (0, number * (SIDE + 8)))
    return sheet


def saved(sheet: Image.Image, path: Path) -> None:
    sheet.save(path, quality=88, optimize=True)


def made(studio: StudioClient, prompts: list[str], **fields: object) -> list[Image.Image]:
    asked = {"num_inference_steps": 12, "guidance_scale": 2.5, **fields}  # the small backend's own
    jobs = [studio.infer(prompt, seed=number, **asked) for number, prompt in enumerate(prompts, 1)]
    for job in jobs:
        status = studio.ended(job)
        assert status["status"] == "completed", status
    return [Image.open(io.BytesIO(studio.result(job).content)) for job in jobs]


def main(folder: Path) -> None:
    studio = StudioClient()
    with studio.http:
        saved(row(made(studio, PROMPTS)), folder / "prompts.jpg")
        zipped = base64.b64encode((APP / "samples" / "pictures.zip").read_bytes()).decode()
        job = studio.train(subject="lighthouse", pictures=zipped)
        print(studio.ended(job, "training"))
        told = studio.result(job).json()
        print({name: value for name, value in told.items() if name != "adapter"})
        adapter = told["adapter"]["uri"]
        without, with_it = made(studio, ADAPTED), made(studio, ADAPTED, lora_path=adapter)
        saved(stacked([row(without), row(with_it)]), folder / "adapter.jpg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
