"""`make prove-races`: how many of so many trials find a planted race, and how many accuse a handler that has none.

A real server with its defaults, so the drill has its default duration. Exit code 1 if a race is missed or a correct
handler accused. Example: .venv/bin/python -m benchmarks.races --times 20
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.yard import Tried, Yard, yard
from seatrial.testing.corpus.case import Case
from seatrial.testing.corpus.races import CORRECT, RACES


@dataclass
class Row:
    """All trials of one handler."""

    case: Case
    tried: list[Tried] = field(default_factory=list)

    @property
    def wrong(self) -> list[Tried]:
        """Those that ended otherwise than they should."""
        return [one for one in self.tried if one.stage != self.case.stage]

    def shown(self) -> tuple[str, ...]:
        """The cells of the table."""
        accused = sum(1 for one in self.tried if one.stage == "drill")
        drills = [one.took("drill") for one in self.tried]
        runs = [one.stages["drill"]["details"].get("runs", 0) for one in self.tried if not one.stage]
        return (
            self.case.name,
            "race" if self.case.stage else "correct",
            f"{accused} of {len(self.tried)}",
            f"{statistics.median(drills):.1f}",
            f"{max(drills):.1f}",
            f"{statistics.median(runs):.0f}" if runs else "",
        )


def run(sea: Yard, rows: Sequence[Row], times: int, side_by_side: int) -> None:
    """Every handler so often; those at once are different ones."""
    with tempfile.TemporaryDirectory(prefix="seatrial-races-") as folder, Progress(transient=True) as progress:
        bar = progress.add_task("trials", total=len(rows) * times)
        packages = {}
        for row in rows:
            place = Path(folder) / row.case.name
            place.mkdir()
            packages[row.case.name] = row.case.make(place)

        def repeat(row: Row) -> None:
            for turn in range(times):
                row.tried.append(sea.tried(f"{row.case.name}-{turn}", packages[row.case.name]))
                progress.advance(bar)

        with ThreadPoolExecutor(side_by_side) as pool:
            for done in [pool.submit(repeat, row) for row in rows]:
                done.result()


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="trials of each handler (20)")
    parser.add_argument("--side-by-side", type=int, default=1, help="trials at once, of different handlers (1)")
    parser.add_argument("--only", nargs="*", help="handlers with one of these words in their name")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    cases = [one for one in (*RACES, *CORRECT) if not chosen.only or any(word in one.name for word in chosen.only)]
    rows = [Row(case) for case in cases]
    with yard() as sea:
        run(sea, rows, chosen.times, chosen.side_by_side)
    wrong = [(row.case, one) for row in rows for one in row.wrong]
    if chosen.json:
        print(json.dumps([row.shown() for row in rows]))
        return int(bool(wrong))
    table = Table("handler", "is", "accused by the drill", "drill s (median)", "drill s (most)", "runs (median)")
    for row in rows:
        table.add_row(*row.shown())
    console = Console()
    console.print(table)
    for case, one in wrong:
        console.print(f"{case.name}: {one.stage or 'in service'}: {one.reason}", markup=False, highlight=False)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
