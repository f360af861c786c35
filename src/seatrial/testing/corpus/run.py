"""What a check and a trial said of the corpus: what they caught, missed and invented."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from seatrial.package.examine import Chosen, Report, Survey, examine
from seatrial.testing.corpus.case import STAGES, Case

WORDS = ("caught", "missed", "late", "early", "quiet", "false alarm")
CHECK_STAGE = "inspect"  # what the check is called where it is part of a trial


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check said of one package, and where its trial failed ("" if it passed); None if there was none."""

    case: Case
    report: Report
    failed: str | None = None
    reason: str = ""
    seconds: float = 0.0

    @property
    def checked(self) -> str:
        """Of the check alone: "caught", "missed", "false alarm" or "quiet" (nothing to say, and rightly so)."""
        found = {(one.id, one.level) for one in self.report.findings}
        if self.case.stage == "check":
            return "caught" if (self.case.finding, self.case.level) in found else "missed"
        if self.case.stage:  # a later stage's: errors would be lucky guesses, warnings are welcome
            return "false alarm" if any(level == "error" for _, level in found) else "quiet"
        return "false alarm" if found else "quiet"

    @property
    def untried(self) -> str:
        """Why there is nothing for a trial to say; empty if there is."""
        if self.checked != "quiet":
            return "the check has said it"
        return self.case.untried

    @property
    def word(self) -> str:
        """One of WORDS, of check and trial together. "late" and "early": at another stage than the earliest that can."""
        if self.failed is None:
            return self.checked
        if not self.failed:
            return "missed" if self.case.stage else "quiet"
        failed = "check" if self.failed == CHECK_STAGE else self.failed
        if not self.case.stage:
            return "false alarm"
        if failed == self.case.stage:
            return "caught"
        return "late" if STAGES.index(failed) > STAGES.index(self.case.stage) else "early"

    @property
    def as_it_should_be(self) -> bool:
        """Neither missed nor invented, nor told at another stage."""
        return self.word in ("caught", "quiet")


def outcome(case: Case, survey_for: Callable[[Case], Survey]) -> Outcome:
    """Make the package in a folder of its own, check it, and remove it."""
    with tempfile.TemporaryDirectory(prefix="seatrial-corpus-") as folder:
        package = case.make(Path(folder))
        return Outcome(case, examine(package, survey_for(case), Chosen(handler=case.handler, strict=case.strict)))


def counted(outcomes: Iterable[Outcome]) -> dict[str, dict[str, int]]:
    """For each earliest stage (and "healthy"), how many packages there are and how many of each word."""
    found = list(outcomes)
    counts = {}
    for stage in (*STAGES, ""):
        words = [one.word for one in found if one.case.stage == stage]
        if words:
            counts[stage or "healthy"] = {"packages": len(words)} | {word: words.count(word) for word in WORDS}
    return counts


def table(outcomes: Iterable[Outcome]) -> str:
    """One line for each stage at which faults can be caught first, one for healthy packages; then what went wrong."""
    found = list(outcomes)
    lines = [f"{'earliest stage':16}{'packages':>10}" + "".join(f"{word:>13}" for word in WORDS)]
    for stage, counts in counted(found).items():
        lines.append(f"{stage:16}{counts['packages']:>10}" + "".join(f"{counts[word]:>13}" for word in WORDS))
    lines += [told(one) for one in found if not one.as_it_should_be]
    return "\n".join(lines)


def told(one: Outcome) -> str:
    """What was said of a package that is not as it should be."""
    said = "; ".join(f"{finding.level} [{finding.id}] {finding.message}" for finding in one.report.findings)
    if one.failed is not None:
        said = f"the trial failed at {one.failed}: {one.reason}" if one.failed else "the trial passed"
    return f"{one.word}: {one.case.name} ({one.case.layout}): {said or 'nothing'}"
