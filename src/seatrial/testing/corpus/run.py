"""Run a check over the corpus: what it caught, missed and invented."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from seatrial.package.examine import Chosen, Report, Survey, examine
from seatrial.testing.corpus.case import STAGES, Case


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check said of one package."""

    case: Case
    report: Report

    @property
    def word(self) -> str:
        """ "caught", "missed", "false alarm" or "quiet" (nothing to say, and rightly so)."""
        found = {(one.id, one.level) for one in self.report.findings}
        if self.case.stage == "check":
            return "caught" if (self.case.finding, self.case.level) in found else "missed"
        if self.case.stage:  # a later stage's: errors would be lucky guesses, warnings are welcome
            return "false alarm" if any(level == "error" for _, level in found) else "quiet"
        return "false alarm" if found else "quiet"

    @property
    def as_it_should_be(self) -> bool:
        """Neither missed nor invented."""
        return self.word in ("caught", "quiet")


def outcome(case: Case, survey_for: Callable[[Case], Survey]) -> Outcome:
    """Make the package in a folder of its own, check it, and remove it."""
    with tempfile.TemporaryDirectory(prefix="seatrial-corpus-") as folder:
        package = case.make(Path(folder))
        return Outcome(case, examine(package, survey_for(case), Chosen(handler=case.handler, strict=case.strict)))


def table(outcomes: Iterable[Outcome]) -> str:
    """One line for each stage at which faults can be caught first, one for healthy packages; then what went wrong."""
    found = list(outcomes)
    words = ("caught", "missed", "quiet", "false alarm")
    lines = [f"{'earliest stage':16}{'packages':>10}" + "".join(f"{word:>13}" for word in words)]
    for stage in (*STAGES, ""):
        of_stage = [one for one in found if one.case.stage == stage]
        if of_stage:
            counts = [sum(1 for one in of_stage if one.word == word) for word in words]
            lines.append(f"{stage or 'healthy':16}{len(of_stage):>10}" + "".join(f"{count:>13}" for count in counts))
    for one in found:
        if not one.as_it_should_be:
            said = "; ".join(f"{finding.level} [{finding.id}] {finding.message}" for finding in one.report.findings)
            lines.append(f"{one.word}: {one.case.name} ({one.case.layout}): {said or 'nothing'}")
    return "\n".join(lines)
