"""Processor seconds of what the studio does by default: `OMP_NUM_THREADS=1 .venv/bin/python measure.py`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STEPS = 20
APP = Path(__file__).resolve().parent


@contextmanager
def measured(words: str, count: int = 1) -> Iterator[None]:
    began = time.process_time()
    yield
    print(f"{(time.process_time() - began) / count:8.3f} s  {words}")


def main() -> None:
    with measured("load"):
        import generator

        model = generator.load()
    from studio.picture import png
    from studio.pictures import read_pictures

    model.generate("a lake", steps=1)
    for steps in (4, 16, 28):
        with measured(f"a picture of 1024 x 1024, {steps} steps"):
            picture = model.generate("a lake below mountains at sunset", steps=steps)
    with measured("its PNG"):
        png(picture.image, picture.facts)
    with measured("an adapter attached"):
        model.attach("sample", APP / "samples" / "adapter.safetensors")
    pictures = read_pictures(APP / "samples" / "pictures.zip")
    with measured(f"a step of training, of {STEPS}", STEPS):
        generator.train_adapter(model, pictures, "lighthouse", steps=STEPS)
    print(f"{model.memory()['process_rss'] / 1e6:8.0f} MB resident")


if __name__ == "__main__":
    main()
