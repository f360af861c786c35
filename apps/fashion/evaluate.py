"""How good the ranking is on a drawn catalogue: `python evaluate.py --items 640 --seed 1`.

Every eighth item is a query and not in the index. precision@5 of look-alikes by category, by main colour, and by both.
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

APP = Path(__file__).resolve().parent
sys.path[:0] = [str(APP), str(APP / "src")]

import catalogue
from fashion import encoder as encoders
from fashion.colour import main_colours, name_of
from fashion.picture import Picture
from fashion.recommend import Recommender, Wanted
from fashion.train import add_sources, train
import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=640)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    encoders.set_threads()
    rows = catalogue.catalogue(given.items, given.seed)
    random.Random(given.seed).shuffle(rows)
    queries, kept = rows[::8], [row for number, row in enumerate(rows) if number % 8]
    truth = {row["id"]: row for row in rows}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        catalogue.write(root / "catalogue", kept)
        encoder = encoders.load("efficientnet-lite0", "cpu")
        train(root / "catalogue", root / "model", encoder, "s3://stygig-ml-s3/train")
        add_sources(root / "model", APP)
        recommender = Recommender(root / "model", encoder, "s3://stygig-ml-s3/train")
        found = {"category": [], "colour": [], "both": [], "named": [], "main colour read": [], "matching goes": []}
        for row in queries:
            picture = catalogue.draw(row["category"], row["pattern"], tuple(row["colours"]), random.Random(row["seed"]))
            answer = recommender.recommend(Picture(picture.convert("RGB")), Wanted(top_k=5))
            shown = [truth[one["id"]] for one in answer["similar"]]
            category = [one["category"] == row["category"] for one in shown]
            colour = [bool(set(one["colours"]) & set(row["colours"])) for one in shown]
            found["category"] += category
            found["colour"] += colour
            found["both"] += [a and b for a, b in zip(category, colour)]
            found["named"].append(answer["query"]["category"] == row["category"])
            read = name_of(main_colours(np.asarray(picture))[0])
            found["main colour read"].append(read in row["colours"])
            found["matching goes"] += [one["category"] != row["category"] for one in answer["matching"]]
    figures = {name: round(sum(hits) / len(hits), 3) for name, hits in found.items()}
    figures |= {"queries": len(queries), "items": len(kept)}
    print(
        json.dumps(figures, indent=1)
        if given.json
        else "\n".join(f"{name:18} {value}" for name, value in figures.items())
    )


if __name__ == "__main__":
    main()
