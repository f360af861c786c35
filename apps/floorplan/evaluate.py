"""Precision and recall of the rooms found in drawn plans whose rooms are known.

    python evaluate.py --plans 260 --seed 1 [--variety pale] [--jobs 2] [--json]

A found room is right when it overlaps a true room that no other found room has taken by an
intersection over union (IoU) of 0.7 or more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from draw import VARIETIES, DrawnPlan, draw_plan
from floorplan.handler import FloorPlan

IOU_MIN = 0.7
BAR_WIDTH = 30


@dataclass
class Tally:
    """Sums over plans."""

    plans: int = 0
    true: int = 0
    found: int = 0
    right: int = 0
    overlap: float = 0.0
    seconds: float = 0.0
    confidence_right: float = 0.0
    confidence_wrong: float = 0.0

    def __iadd__(self, other: Tally) -> Tally:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self

    def figures(self) -> dict[str, float]:
        wrong = self.found - self.right
        return {
            "plans": self.plans,
            "rooms": self.true,
            "found": self.found,
            "right": self.right,
            "precision": round(self.right / max(self.found, 1), 4),
            "recall": round(self.right / max(self.true, 1), 4),
            "iou_mean": round(self.overlap / max(self.right, 1), 4),
            "seconds_mean": round(self.seconds / max(self.plans, 1), 3),
            "confidence_right": round(self.confidence_right / max(self.right, 1), 3),
            "confidence_wrong": round(self.confidence_wrong / max(wrong, 1), 3),
        }


def judge(plan: DrawnPlan, handler: FloorPlan, folder: Path) -> Tally:
    """Find the rooms of one plan and compare."""
    path = folder / "plan.png"
    cv2.imwrite(str(path), plan.picture)
    begun = time.perf_counter()
    rooms = handler.find_rooms(path)["rooms"]
    seconds = time.perf_counter() - begun
    pairs = sorted(_overlaps(plan.rooms, rooms), reverse=True)
    taken_true, taken_found = set(), set()
    tally = Tally(plans=1, true=len(np.unique(plan.rooms)) - 1, found=len(rooms), seconds=seconds)
    for iou, true, found in pairs:
        if iou >= IOU_MIN and true not in taken_true and found not in taken_found:
            taken_true.add(true)
            taken_found.add(found)
            tally.right += 1
            tally.overlap += iou
    for number, room in enumerate(rooms):
        if number in taken_found:
            tally.confidence_right += room["confidence"]
        else:
            tally.confidence_wrong += room["confidence"]
    return tally


def _overlaps(truth: np.ndarray, rooms: list[dict]) -> list[tuple[float, int, int]]:
    """IoU of every overlapping pair, as (iou, true room, found room)."""
    areas = np.bincount(truth.ravel())
    pairs = []
    for number, room in enumerate(rooms):
        mask = np.zeros(truth.shape, np.uint8)
        rings = [np.rint(np.array(ring)).astype(np.int32) for ring in (room["polygon"], *room["holes"])]
        cv2.fillPoly(mask, rings, 1)
        shared = np.bincount(truth[mask == 1], minlength=len(areas))
        for true in np.flatnonzero(shared[1:]) + 1:
            union = areas[true] + int(mask.sum()) - shared[true]
            pairs.append((float(shared[true] / union), int(true), number))
    return pairs


def evaluate_one(seed: int, variety: str, keep_bad: Path | None) -> tuple[str, Tally]:
    """Draw a plan and judge it, in a process of its own."""
    plan = draw_plan(seed, variety)
    with tempfile.TemporaryDirectory() as folder:
        tally = judge(plan, FloorPlan(), Path(folder))
    if keep_bad and not tally.true == tally.found == tally.right:
        cv2.imwrite(str(keep_bad / f"{seed}-{variety}.png"), plan.picture)
    return variety, tally


def evaluate(options: argparse.Namespace, varieties: tuple[str, ...]) -> Iterator[tuple[str, Tally]]:
    """The tally of each plan, in order."""
    numbers = range(options.plans)
    with ProcessPoolExecutor(options.jobs) as pool:
        yield from pool.map(
            evaluate_one,
            (1000 * options.seed + number for number in numbers),
            (varieties[number % len(varieties)] for number in numbers),
            (options.keep_bad for _ in numbers),
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plans", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="plans judged side by side")
    parser.add_argument("--variety", choices=VARIETIES, help="only this one")
    parser.add_argument("--json", action="store_true", help="figures as JSON, nothing else")
    parser.add_argument("--keep-bad", type=Path, help="write the pictures of imperfect plans to this folder")
    options = parser.parse_args()
    varieties = (options.variety,) if options.variety else VARIETIES
    if options.keep_bad:
        options.keep_bad.mkdir(parents=True, exist_ok=True)
    tallies: dict[str, Tally] = defaultdict(Tally)
    for variety, tally in evaluate(options, varieties):
        tallies[variety] += tally
        tallies["all"] += tally
        show_progress(tallies["all"], options.plans)
    report({name: tallies[name].figures() for name in (*varieties, "all")}, options.json)
    return 0


def show_progress(so_far: Tally, plans: int) -> None:
    """A bar on a terminal; elsewhere a line for every tenth of the way."""
    figures = so_far.figures()
    done = BAR_WIDTH * so_far.plans // plans
    text = (
        f"{'#' * done}{'.' * (BAR_WIDTH - done)} {so_far.plans:>4} of {plans} plans   "
        f"precision {figures['precision']:.3f}   recall {figures['recall']:.3f}"
    )
    if sys.stderr.isatty():
        print(f"\r{text}", end="\n" if so_far.plans == plans else "", file=sys.stderr, flush=True)
    elif so_far.plans * 10 // plans != (so_far.plans - 1) * 10 // plans:
        print(text, file=sys.stderr, flush=True)


def report(figures: dict[str, dict[str, float]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    columns = list(figures["all"])
    print(f"{'variety':<12}" + "".join(f"{name:>18}" for name in columns))
    for variety, row in figures.items():
        print(f"{variety:<12}" + "".join(f"{row[name]:>18}" for name in columns))


if __name__ == "__main__":
    sys.exit(main())
