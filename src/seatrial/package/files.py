"""Files that a package names: inside of it, regular, of a bounded size, and JSON where JSON is due."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seatrial.domain.limits import CONTRACT_BYTES_MAX, INPUT_OBJECT_BYTES_MAX
from seatrial.package.problems import Problems, shown

VALID_PATH = "the path of a file inside the package"


def file_inside(root: Path, name: str, table: str, key: str, problems: Problems) -> Path | None:
    """The regular file that `name` means below `root`, or None with the problem noted."""
    try:
        path = (root / name).resolve()
        inside = path.is_relative_to(root.resolve()) and not Path(name).is_absolute()
        if inside and path.is_file():
            return path
    except (OSError, RuntimeError, ValueError):  # a circle of links, a name too long, a NUL
        inside = True
    fault = "is no file of the package" if inside else "lies outside of the package"
    problems.add(table, key, f"{shown(name)} {fault}", VALID_PATH)
    return None


def read_json(path: Path, table: str, key: str, problems: Problems, bytes_max: int) -> Any:
    """The JSON of a file, or None with the problem noted (`null` is none as well)."""
    if path.stat().st_size > bytes_max:
        problems.add(table, key, f"{path.name} has more than {bytes_max} bytes", f"at most {bytes_max} bytes")
        return None
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        problems.add(table, key, f"{path.name} is no JSON: {error}", "a JSON document in UTF-8")
        return None


def read_sample_json(path: Path, table: str, key: str, problems: Problems) -> Any:
    """A request body that is JSON."""
    return read_json(path, table, key, problems, INPUT_OBJECT_BYTES_MAX)


def read_schema_json(path: Path, table: str, key: str, problems: Problems) -> Any:
    """A JSON Schema, not checked yet."""
    return read_json(path, table, key, problems, CONTRACT_BYTES_MAX)
