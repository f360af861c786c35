"""The check lists name tests that are there."""

import re

from conftest import APP

PLACES = {"story": APP.parents[1] / "tests" / "apps" / "test_headshot.py"}


def test_each_line_has_its_test():
    text = (APP / "CHECKLIST.md").read_text()
    lines = re.findall(r"^\| ([^*|]+) \| (`test_[^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    assert len(lines) == 10 + 6 + 7 + 6 + 6 + 3 + 5
    for line, tests, places in lines:
        sources = [PLACES.get(place, APP / "tests" / place).read_text() for place in places.split(", ")]
        for test in re.findall(r"`(\w+)`", tests):
            assert any(f"def {test}(" in source for source in sources), f"{line}: {test}"
