"""`make prove-corpus`: broken and healthy packages, checked, and then tried on a real server.

What the check alone says of every package; then a trial, with the server's defaults, of each served one that the check
has nothing against. A fault must be told at the earliest stage that can, a healthy package by none. Exit code 1 if one
was missed, told at another stage, or invented. Example: .venv/bin/python -m benchmarks.corpus --only race --check
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from benchmarks.yard import Yard, yard
from seatrial.cli.survey import Surveyor
from seatrial.package.examine import Survey
from seatrial.package.manifest import Manifest
from seatrial.package.target import Target
from seatrial.testing.corpus.broken import BROKEN
from seatrial.testing.corpus.case import Case
from seatrial.testing.corpus.healthy import HEALTHY
from seatrial.testing.corpus.run import Outcome, counted, outcome, table, told

SIDE_BY_SIDE = 2
SOME_REQUIREMENTS = Path(__file__).parents[1] / "constraints.txt"


def survey_for() -> Callable[[Case], Survey]:
    """One survey of each interpreter, with and without requirements, serves all packages. No index is asked."""

    @cache
    def target(python: str | None, has_requirements: bool) -> Target:
        requirements = SOME_REQUIREMENTS if has_requirements else None
        manifest = Manifest("python", None, requirements=requirements)  # type: ignore[arg-type]  # no contract is read
        return Surveyor(python, resolves=False)(manifest)

    return lambda case: lambda manifest: target(case.python or manifest.python, manifest.requirements is not None)


def tried(sea: Yard, one: Outcome) -> Outcome:
    """The outcome with that of its trial."""
    with tempfile.TemporaryDirectory(prefix="seatrial-corpus-") as folder:
        trial = sea.tried(one.case.name, one.case.make(Path(folder)))
        return replace(one, failed=trial.stage, reason=trial.reason, seconds=trial.seconds)


def try_all(found: Sequence[Outcome], side_by_side: int, console: Console) -> list[Outcome]:
    """All of them with a trial where one has anything to say; a few at once, on one server."""
    with yard() as sea, ThreadPoolExecutor(side_by_side) as pool:
        pending = [None if one.untried else pool.submit(tried, sea, one) for one in found]
        waits = track(pending, "trials", console=console, transient=True)
        return [one if wait is None else wait.result() for one, wait in zip(found, waits, strict=True)]


def document(found: Sequence[Outcome]) -> dict[str, Any]:
    """For programs."""
    packages = [
        {
            "name": one.case.name,
            "layout": one.case.layout,
            "earliest_stage": one.case.stage or None,
            "word": one.word,
            "check": one.checked,
            "trial": None if one.failed is None else {"failed": one.failed or None, "seconds": round(one.seconds, 1)},
            "untried": one.untried or None,
            "said": None if one.as_it_should_be else told(one),
        }
        for one in found
    ]
    return {"stages": counted(found), "packages": packages}


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="the check alone, no trials")
    parser.add_argument("--only", nargs="*", help="packages with one of these words in their name")
    parser.add_argument("--sample", type=int, help="so many of them, picked by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--side-by-side", type=int, default=SIDE_BY_SIDE, help=f"trials at once ({SIDE_BY_SIDE})")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    console = Console(stderr=chosen.json, width=160)
    cases = [one for one in (*BROKEN, *HEALTHY) if not chosen.only or any(word in one.name for word in chosen.only)]
    if chosen.sample is not None:
        cases = random.Random(chosen.seed).sample(cases, min(chosen.sample, len(cases)))
    began = time.perf_counter()
    survey = survey_for()
    found = [outcome(case, survey) for case in track(cases, "checks", console=console, transient=True)]
    if not chosen.json:
        print(f"check alone, {time.perf_counter() - began:.1f} s\n{table(found)}\n")
    if not chosen.check:
        began = time.perf_counter()
        found = try_all(found, chosen.side_by_side, console)
        runs = sum(1 for one in found if one.failed is not None)
        if not chosen.json:
            print(f"check, then {runs} trials, {time.perf_counter() - began:.0f} s\n{table(found)}")
            left_out = sorted(
                {f"{one.case.name}: {one.untried}" for one in found if one.untried and not one.case.stage}
            )
            print("\nhealthy, and checked only:", *left_out, sep="\n  ")
    if chosen.json:
        print(json.dumps(document(found), indent=2))
    return int(any(not one.as_it_should_be for one in found))


if __name__ == "__main__":
    sys.exit(main())
