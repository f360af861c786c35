"""Judge a package by its files alone: nothing of it is run."""

from __future__ import annotations

from pathlib import Path

from seatrial.package.checks.entry_point import find_entry_point
from seatrial.package.checks.hard_coded_paths import check_hard_coded_paths
from seatrial.package.checks.imports import check_imports
from seatrial.package.checks.python_handler import check_python_handler
from seatrial.package.checks.sagemaker_functions import check_sagemaker_functions
from seatrial.package.checks.samples import check_samples
from seatrial.package.finding import Finding
from seatrial.package.manifest import Manifest


def inspect(manifest: Manifest, root: Path, isolation: str | None) -> list[Finding]:
    """Every finding, errors first. `isolation` says why fixed paths cannot be provided here; None if they can."""
    findings: list[Finding] = []
    entry = find_entry_point(manifest, root)
    if isinstance(entry, Finding):
        findings.append(entry)
    else:
        if manifest.layout == "python":
            findings += check_python_handler(manifest, entry)
        else:
            findings += check_sagemaker_functions(entry)
        findings += check_imports(manifest, root, entry)
    findings += check_samples(manifest.contract)
    findings += check_hard_coded_paths(root, isolation)
    return sorted(findings, key=lambda finding: finding.level)
