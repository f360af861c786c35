"""Every limit is in the reference, with its value, its unit and what it limits."""

from __future__ import annotations

import runpy
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "scripts" / "limits-reference"


def test_the_reference_has_every_limit_as_it_is() -> None:
    made = runpy.run_path(str(SCRIPT))
    reference = (REPOSITORY / "docs" / "reference" / "settings.md").read_text()
    assert made["written"](reference) == reference, "a limit has changed: run scripts/limits-reference"
    rows = [line for line in reference.splitlines() if line.startswith("| `") and line.split("`")[1].isupper()]
    limits = runpy.run_path(str(REPOSITORY / "src" / "seatrial" / "domain" / "limits.py"))
    named = {line.split("`")[1] for line in rows}
    assert named == {name for name in limits if name.isupper() and name not in ("KIB", "MIB", "GIB")}
