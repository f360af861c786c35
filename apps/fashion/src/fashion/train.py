"""Makes the archive's files of a catalogue of pictures: `python -m fashion.train DIR --output model/`.

`DIR/<group>/<category>/*.png`; a file `genders.json` ({id: female | male | unisex}) may say for whom items are, others
count as unisex.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

import faiss
import numpy as np
from PIL import Image

from fashion import encoder as encoders
from fashion import item as items_file
from fashion.colour import main_colours
from fashion.encoder import Encoder
from fashion.errors import NotLoadable, NotTrainable
from fashion.item import GENDERS, Item
from fashion.picture import Picture
from fashion.recommend import EMBEDDINGS, INDEX

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
AT_ONCE = 64  # pictures in memory


def train(catalogue: Path, output: Path, encoder: Encoder, prefix: str) -> int:
    """Write embeddings, index, metadata and config; how many items there are.

    Raises:
        NotTrainable: the catalogue has no pictures, or one cannot be read.
    """
    paths = sorted(path for path in catalogue.glob("*/*/*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise NotTrainable(f"{catalogue} has no pictures; they are looked for as <group>/<category>/<name>.png")
    genders = _genders(catalogue)
    output.mkdir(parents=True, exist_ok=True)
    items: list[Item] = []
    rows: list[np.ndarray] = []
    for start in range(0, len(paths), AT_ONCE):
        some = paths[start : start + AT_ONCE]
        pictures = [_opened(path) for path in some]
        rows.append(encoder.encode([one.image for one in pictures]))
        items += [_item(catalogue, path, picture, genders) for path, picture in zip(some, pictures, strict=True)]
        _progress(len(items), len(paths))
    embeddings = np.concatenate(rows).astype(np.float32)
    index = faiss.IndexFlatIP(embeddings.shape[1])
    index.add(embeddings)
    np.savez(output / EMBEDDINGS, embeddings=embeddings)
    faiss.write_index(index, str(output / INDEX))
    items_file.write(output, items)
    config = {"encoder": encoder.name, "dimensions": embeddings.shape[1], "items": len(items), "prefix": prefix}
    (output / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    return len(items)


def _genders(catalogue: Path) -> dict[str, str]:
    path = catalogue / "genders.json"
    told = json.loads(path.read_text()) if path.is_file() else {}
    wrong = {name: gender for name, gender in told.items() if gender not in GENDERS}
    if wrong:
        name, gender = next(iter(wrong.items()))
        raise NotTrainable(f"{path}: {name} is {gender!r}; valid are {', '.join(GENDERS)}")
    return told


def _opened(path: Path) -> Picture:
    try:
        return Picture.of(Image.open(path))
    except OSError as error:
        raise NotTrainable(f"{path} cannot be decoded ({error}); replace it, or take it out") from None


def _item(catalogue: Path, path: Path, picture: Picture, genders: dict[str, str]) -> Item:
    below = path.relative_to(catalogue)
    gender = genders.get(path.stem, "unisex")
    colours = main_colours(np.asarray(picture.image), picture.opaque)
    return Item(path.stem, below.as_posix(), below.parts[0], below.parts[1], gender, colours)


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r{done} of {total} items", end=end, file=sys.stderr, flush=True)


def add_sources(output: Path, root: Path) -> None:
    """Put what the handler imports and reads beside the model: `code/`, `src/`, `config/`, the contract, its samples.

    Raises:
        NotTrainable: one of them is not where the sources are.
    """
    for name in ("code", "src", "config", "schemas", "samples", "seatrial.toml"):
        source = root / name
        if not source.exists():
            raise NotTrainable(f"{source} is missing: without it the archive would not serve; --source is its folder")
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(source, output / name, dirs_exist_ok=True, ignore=ignored)
        else:
            shutil.copy2(source, output / name)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m fashion.train", description=__doc__)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("--output", type=Path, default=Path("model"))
    parser.add_argument("--source", type=Path, default=Path(__file__).resolve().parents[2], help="the app's folder")
    parser.add_argument("--prefix", default="s3://stygig-ml-s3/train", help="where clients find the items' pictures")
    parser.add_argument("--encoder", choices=encoders.NAMES, default="efficientnet-lite0")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    given = parser.parse_args(arguments)
    started = time.monotonic()
    encoders.set_threads()
    try:
        encoder = encoders.load(given.encoder, encoders.device_for(given.device))
        count = train(given.catalogue, given.output, encoder, given.prefix)
        add_sources(given.output, given.source)
    except (NotTrainable, NotLoadable) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    print(f"{count} items in {time.monotonic() - started:.0f} s: {given.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
