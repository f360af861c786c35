"""Check a package from the outside in: open it, read its contract, judge it. Nothing of it is run or kept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seatrial.domain.errors import Unproven
from seatrial.package.archive import Told, open_package
from seatrial.package.checks.weights import pickles
from seatrial.package.contents import sketch_package
from seatrial.package.finding import Finding
from seatrial.package.inspect import contract_findings, in_order, inspect
from seatrial.package.manifest import Manifest, read_manifest
from seatrial.package.pack import pack
from seatrial.package.repair import Repair, plan_repair
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


@dataclass(frozen=True, slots=True)
class Mended:
    """A package before and after its repair. `repair` is None if it could not even be read."""

    before: Report
    after: Report
    repair: Repair | None = None


def examine(source: Path, survey: Survey, chosen: Chosen = Chosen(), told: Told | None = None) -> Report:
    """Check the package at `source`: a directory, a `.tar` or a `.tar.gz`. Blocking.

    `told` hears how many more bytes of an archive were read.
    """
    with tempfile.TemporaryDirectory(prefix="seatrial-check-") as folder:
        return _Examination(Path(folder), survey, chosen).open(source, told)


def mend(
    source: Path, survey: Survey, chosen: Chosen, tree: Path, include: Sequence[str], told: Told | None = None
) -> Mended:
    """Check a package, and what it would be with the files added that `tree` has and it lacks. Blocking.

    Raises:
        NothingToInclude: a name of `include` is not in the tree.
    """
    with tempfile.TemporaryDirectory(prefix="seatrial-check-") as folder:
        examination = _Examination(Path(folder), survey, chosen)
        before = examination.open(source, told)
        if examination.manifest is None or examination.target is None:
            return Mended(before, before)
        repair = plan_repair(Path(folder), examination.manifest, examination.target, tree, include)
        return Mended(before, examination.judge(), repair)


def write_package(source: Path, repair: Repair, target: Path, left_out: Callable[[str], bool] | None = None) -> None:
    """Write the package at `source` with what the repair adds, as a `.tar.gz`. Blocking.

    Raises:
        Unproven, OSError: as `open_package` and `pack` do.
    """
    if source.is_dir():
        pack(source, target, repair.files, left_out)
        return
    with tempfile.TemporaryDirectory(prefix="seatrial-mend-", dir=target.parent) as folder:
        open_package(source, Path(folder))
        pack(Path(folder), target, repair.files, left_out)


class _Examination:
    """One package, opened once, that may be judged again after files were added to its sketch."""

    def __init__(self, root: Path, survey: Survey, chosen: Chosen) -> None:
        self._root = root
        self._survey = survey
        self._chosen = chosen
        self._report = Report(())
        self.manifest: Manifest | None = None
        self.target: Target | None = None

    def open(self, source: Path, told: Told | None = None) -> Report:
        """Sketch the package, read what it says of itself, and judge it."""
        try:
            sketch = sketch_package(source, self._root, told=told)
        except Unproven as error:
            remedy = str(error.details.get("remedy", ""))
            return Report((Finding(ARCHIVE_ID, "error", error.message, remedy, error.field),))
        contents = judged_strictly(sketch.findings) if self._chosen.strict else sketch.findings
        self._report = Report(tuple(in_order(contents)), files=sketch.files, size_bytes=sketch.size_bytes)
        try:
            self.manifest = read_manifest(self._root, self._chosen.layout, self._chosen.handler)
        except Unproven as error:
            return replace(self._report, findings=tuple(in_order([*contract_findings(error), *contents])))
        self.target = self._survey(self.manifest)
        return self.judge()

    def judge(self) -> Report:
        """Everything that there is to say, of the sketch as it is now."""
        assert self.manifest is not None and self.target is not None  # noqa: S101, PT018  # opened before
        findings = tuple(inspect(self.manifest, self._root, self.target, self._report.findings))
        unreachable = self.target.resolution.unreachable
        notes = (f"the requirements were not resolved: {unreachable}",) if unreachable else ()
        python = self.target.python_text
        return replace(self._report, findings=findings, layout=self.manifest.layout, python=python, notes=notes)


def judged_strictly(findings: Iterable[Finding]) -> Sequence[Finding]:
    """Pickles that would run something are errors."""
    return [replace(one, level="error") if one.id == pickles.ID else one for one in findings]
