"""Every case of the compatibility reference names a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
REFERENCE = REPOSITORY / "docs" / "reference" / "compatibility.md"


def test_every_case_names_a_test_that_is_there() -> None:
    lines = [line for line in REFERENCE.read_text().splitlines() if line.startswith("| ")]
    rows = [line for line in lines if not line.endswith(" test |")]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(tests/\S+\.py)::(test_\w+)`", row)
        assert named, f"no test in: {row}"
        for path, name in named:
            source = ast.parse((REPOSITORY / path).read_text())
            functions = {
                one.name for one in ast.walk(source) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            assert name in functions, f"{path} has no {name}"
