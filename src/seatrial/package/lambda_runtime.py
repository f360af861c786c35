"""What AWS's Python runtimes bring beside the language: boto3, which functions import without asking for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from seatrial.domain.limits import CONTRACT_BYTES_MAX
from seatrial.package.requirements import read_requirements

SDK = "boto3>=1.26"  # of releases that any Python from 3.9 on has
SDK_MODULES = frozenset({"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six"})
_IMPORTS = re.compile(r"^\s*(?:import|from)\s+(?:boto3|botocore)\b", re.MULTILINE)
_FILES_MAX = 2_000


def runtime_packages(root: Path, layers: Sequence[str], requirements: Path | None) -> tuple[str, ...]:
    """The requirement on boto3, where the code imports it and neither package, layer nor requirement brings it."""
    lines = read_requirements(requirements, root.resolve()) if requirements is not None else []
    if any(line.name in ("boto3", "botocore") for line in lines) or any(line.is_place for line in lines):
        return ()
    folders = [root, *(root / layer for layer in layers)]
    if any(next(folder.rglob("boto3/__init__.py"), None) for folder in folders):
        return ()
    return (SDK,) if any(_imports_it(path) for path in _sources(root)) else ()


def _sources(root: Path) -> list[Path]:
    return [path for path, _ in zip(root.rglob("*.py"), range(_FILES_MAX), strict=False)]


def _imports_it(path: Path) -> bool:
    try:
        if not path.is_file() or path.stat().st_size > CONTRACT_BYTES_MAX:
            return False
        return _IMPORTS.search(path.read_text("utf-8", "replace")) is not None
    except OSError:
        return False
