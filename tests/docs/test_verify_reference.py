"""The reference of `verify` has every check, with its point of the ten-point list."""

from __future__ import annotations

import re
from pathlib import Path

from seatrial.prove.verify import CHECKLIST

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "verify.md"


def test_every_check_is_there_in_its_order_with_its_point():
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| ([0-9, ]*?) ?\|", REFERENCE.read_text(), re.MULTILINE)
    assert rows == [(check.id, check.point) for check in CHECKLIST]


def test_the_ten_points_are_answered_each_once():
    points = [point for check in CHECKLIST for point in check.point.split(", ") if point]
    assert sorted(points, key=int) == [str(number) for number in range(1, 11)]
