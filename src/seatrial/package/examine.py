"""Check a package from the outside in: open it, read its contract, judge it. Nothing of it is run or kept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seatrial.domain.errors import Unproven
from seatrial.package.checks.weights import pickles
from seatrial.package.contents import sketch_package
from seatrial.package.finding import Finding
from seatrial.package.inspect import contract_findings, in_order, inspect
from seatrial.package.manifest import Manifest, read_manifest
from seatrial.package.target import Target

Survey = Callable[[Manifest], Target]
ARCHIVE_ID = "archive"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What whoever asks for a check says: it goes before what the package says. `strict` refuses harmful pickles."""

    layout: str | None = None
    handler: str | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found, errors first; `layout` and `python` are empty if it did not come so far."""

    findings: tuple[Finding, ...]
    layout: str = ""
    python: str = ""
    files: int = 0
    size_bytes: int = 0
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """ "failed", "unprovable" or "passed"."""
        levels = {one.level for one in self.findings}
        return "failed" if "error" in levels else "unprovable" if "unprovable" in levels else "passed"


def examine(source: Path, survey: Survey, chosen: Chosen = Chosen()) -> Report:
    """Check the package at `source`: a directory, a `.tar` or a `.tar.gz`. Blocking."""
    with tempfile.TemporaryDirectory(prefix="seatrial-check-") as folder:
        return _examine_in(Path(folder), source, survey, chosen)


def _examine_in(root: Path, source: Path, survey: Survey, chosen: Chosen) -> Report:
    try:
        sketch = sketch_package(source, root)
    except Unproven as error:
        remedy = str(error.details.get("remedy", ""))
        return Report((Finding(ARCHIVE_ID, "error", error.message, remedy, error.field),))
    contents = judged_strictly(sketch.findings) if chosen.strict else sketch.findings
    report = Report(tuple(in_order(contents)), files=sketch.files, size_bytes=sketch.size_bytes)
    try:
        manifest = read_manifest(root, chosen.layout, chosen.handler)
    except Unproven as error:
        return replace(report, findings=tuple(in_order([*contract_findings(error), *contents])))
    target = survey(manifest)
    findings = tuple(inspect(manifest, root, target, contents))
    unreachable = target.resolution.unreachable
    notes = (f"the requirements were not resolved: {unreachable}",) if unreachable else ()
    return replace(report, findings=findings, layout=manifest.layout, python=target.python_text, notes=notes)


def judged_strictly(findings: Iterable[Finding]) -> Sequence[Finding]:
    """Pickles that would run something are errors."""
    return [replace(one, level="error") if one.id == pickles.ID else one for one in findings]
