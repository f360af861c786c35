"""`python -m torture --seconds 60 --seed 7`: exit code 1 when a promise was broken."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from torture.run import torture


def main() -> int:
    """Run, print the report, keep the server's folder only if something is wrong."""
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long clients ask and things break")
    parser.add_argument("--seed", type=int, default=None, help="the same seed asks for and breaks the same")
    parser.add_argument("--objects", choices=["rows", "s3"], default="rows", help="where the server keeps its objects")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite", help="where it keeps the rest")
    parser.add_argument("--json", action="store_true", help="the report as one line of JSON")
    asked = parser.parse_args()
    seed = random.randrange(10**6) if asked.seed is None else asked.seed
    if not asked.json:
        print(f"seed {seed}, objects in {asked.objects}, {asked.database}: {asked.seconds:g} s", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="seatrial-torture-"))
    report = torture(seed, asked.seconds, folder, asked.objects, asked.database)
    print(report.as_json() if asked.json else "\n".join(report.lines()))
    if report.violations:
        print(f"the server's log: {folder / 'server.log'}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
