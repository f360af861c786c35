"""A sheet of queries with what is shown for them: `python shown.py model catalogue sheet.png`."""

import argparse
import random
import sys
from pathlib import Path

APP = Path(__file__).resolve().parent
sys.path[:0] = [str(APP), str(APP / "src")]

import catalogue as drawn
from fashion import encoder as encoders
from fashion.picture import Picture
from fashion.recommend import Recommender, Wanted
from PIL import Image

SIDE = 96
QUERIES = (("shirt", "checks", ("navy", "white")), ("skirt", "plain", ("red",)), ("shoe", "dots", ("black", "pink")),
           ("jacket", "stripes", ("olive", "orange")))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("sheet", type=Path)
    given = parser.parse_args()
    encoders.set_threads()
    recommender = Recommender(given.model, encoders.load("efficientnet-lite0", "cpu"), "s3://items")
    sheet = Image.new("RGB", (7 * SIDE + 24, len(QUERIES) * SIDE), "white")
    for row, (category, pattern, colours) in enumerate(QUERIES):
        query = drawn.draw(category, pattern, colours, random.Random(row))
        answer = recommender.recommend(Picture(query), Wanted(top_k=3))
        paths = [one["uri"].removeprefix("s3://items/") for one in answer["similar"] + answer["matching"]]
        for place, picture in enumerate([query, *(Image.open(given.catalogue / path) for path in paths)]):
            gap = 0 if not place else 12 if place < 4 else 24
            sheet.paste(picture.resize((SIDE, SIDE)), (place * SIDE + gap, row * SIDE))
    sheet.save(given.sheet)


if __name__ == "__main__":
    main()
