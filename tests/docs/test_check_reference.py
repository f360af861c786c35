"""Every check stands in its reference with a remedy, and nothing else does."""

import importlib
import pkgutil
import re
from pathlib import Path

from seatrial.package import checks
from seatrial.package.examine import ARCHIVE_ID
from seatrial.package.image.examine import IMAGE_ID
from seatrial.package.inspect import CONTRACT_ID

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "check.md"
ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def ids() -> set[str]:
    found = pkgutil.walk_packages(checks.__path__, f"{checks.__name__}.")
    modules = [importlib.import_module(one.name) for one in found]
    return {module.ID for module in modules if hasattr(module, "ID")} | {ARCHIVE_ID, CONTRACT_ID, IMAGE_ID}


def test_every_check_is_documented_with_its_remedy() -> None:
    _, _, table = REFERENCE.read_text().partition("## What is checked")
    rows = ROW.findall(table)
    assert {name for name, _, _ in rows} == ids()
    assert all(len(remedy) > 10 for _, _, remedy in rows)


def test_no_two_checks_share_an_id() -> None:
    """A check of two files (an image's command, and that of a Dockerfile) says its id in one of them."""
    files = [path for root in checks.__path__ for path in Path(root).rglob("*.py")]
    named = [said for path in files for said in re.findall(r'^ID = "(\w+)"$', path.read_text(), re.MULTILINE)]
    assert len(named) > 30
    assert len(set(named)) == len(named)
