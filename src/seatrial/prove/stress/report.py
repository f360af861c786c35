"""What a stress run found: five counters, each bad job with its reason, and the same as findings for CI."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from seatrial.prove.finding import Finding, Outcome
from seatrial.prove.limits import PROBLEMS_NAMED_MAX
from seatrial.prove.stress.callbacks import Tally
from seatrial.prove.stress.job import Job, Kind
from seatrial.prove.stress.settings import ScenarioName, Settings

_COUNTED = (Kind.LOST, Kind.DUPLICATED, Kind.CROSSED, Kind.PARTIAL)


@dataclass(frozen=True, slots=True)
class Counts:
    """Total is valid, invalid and without output together; exclusive jobs are counted apart.

    A job is counted once under each kind of its problems, exclusive ones too.
    """

    exclusive: int
    total: int
    completed: int
    valid: int
    invalid: int
    without_output: int
    by_kind: dict[Kind, int]

    def told(self) -> dict[str, int]:
        """As plain data."""
        kinds = {kind.value: self.by_kind.get(kind, 0) for kind in Kind}
        return {
            "exclusive": self.exclusive,
            "total": self.total,
            "completed": self.completed,
            "valid": self.valid,
            "invalid": self.invalid,
            "without_output": self.without_output,
            **kinds,
        }


@dataclass(slots=True)
class ScenarioReport:
    """One scenario. `skipped`: why it was not run; empty: it was."""

    name: ScenarioName
    jobs: list[Job] = field(default_factory=list)
    seconds: float = 0.0
    skipped: str = ""
    callbacks: Tally | None = None

    @property
    def counts(self) -> Counts:
        """Of its jobs."""
        return counts_of(self.jobs)

    def told(self) -> dict[str, Any]:
        """As plain data."""
        if self.skipped:
            return {"scenario": self.name.value, "skipped": self.skipped}
        took = [job.seconds for job in self.jobs if job.is_completed]
        return {
            "scenario": self.name.value,
            "seconds": round(self.seconds, 3),
            "counts": self.counts.told(),
            "job_seconds_median": round(statistics.median(took), 3) if took else None,
            "job_seconds_max": round(max(took), 3) if took else None,
            "callbacks": asdict(self.callbacks) if self.callbacks else None,
        }


@dataclass(slots=True)
class Report:
    """The whole run. `notes` are worth a look and no faults; `alone` is what is wrong with outputs even alone."""

    target: str
    settings: Settings
    variants: list[dict[str, Any]] = field(default_factory=list)
    scenarios: list[ScenarioReport] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    callbacks_skipped: str = ""  # why no callbacks were asked for
    requests_alone: int = 0
    interrupted: bool = False

    @property
    def jobs(self) -> list[Job]:
        """All jobs of all scenarios."""
        return [job for one in self.scenarios for job in one.jobs]

    @property
    def bad(self) -> list[Job]:
        """Those with problems."""
        return [job for job in self.jobs if job.problems]

    @property
    def passed(self) -> bool:
        """Nothing is wrong, alone or under load."""
        return not self.bad and not self.alone

    def told(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "target": self.target,
            "passed": self.passed,
            "interrupted": self.interrupted,
            "settings": asdict(self.settings),
            "counts": counts_of(self.jobs).told(),
            "variants": self.variants,
            "requests_alone": self.requests_alone,
            "invalid_alone": self.alone,
            "scenarios": [one.told() for one in self.scenarios],
            "callbacks_skipped": self.callbacks_skipped or None,
            "notes": self.notes,
            "bad": [job.told() for job in self.bad],
        }

    def suites(self) -> list[tuple[str, list[Finding]]]:
        """For JUnit: a suite for each scenario."""
        alone = _finding("stress.alone", self.alone, "every output is valid when it is made alone", _ALONE_REMEDY)
        return [("baseline", [alone]), *((one.name.value, list(self._findings(one))) for one in self.scenarios)]

    def _findings(self, one: ScenarioReport) -> Iterator[Finding]:
        for id_, kinds, well, remedy in _CHECKS:
            if one.skipped:
                yield Finding(id_, Outcome.NOT_APPLICABLE, one.skipped)
            elif Kind.UNTOLD in kinds and one.callbacks is None:
                yield Finding(id_, Outcome.NOT_APPLICABLE, self.callbacks_skipped)
            else:
                told = [f"{job.name}: {why.reason}" for job in one.jobs for why in job.problems if why.kind in kinds]
                yield _finding(id_, told, f"{well} ({len(one.jobs)} jobs)", remedy)


def counts_of(jobs: Sequence[Job]) -> Counts:
    """The counters of these jobs."""
    kinds = {kind: sum(any(why.kind is kind for why in job.problems) for job in jobs) for kind in Kind}
    plain = [job for job in jobs if not job.exclusive]
    valid = sum(job.is_valid for job in plain)
    without = sum(not job.has_output for job in plain)
    completed = sum(job.is_completed for job in plain)
    exclusive = len(jobs) - len(plain)
    return Counts(exclusive, len(plain), completed, valid, len(plain) - valid - without, without, kinds)


def summary_lines(report: Report) -> Iterator[str]:
    """The summary for people: for each scenario and for all, five counters; then each bad job with its reason."""
    jobs = report.jobs
    noun = (
        "images"
        if jobs and all(job.has_image or not job.has_output for job in jobs if not job.exclusive)
        else "outputs"
    )
    yield "STRESS TEST RESULTS"
    yield "=" * 80
    for one in report.scenarios:
        yield ""
        if one.skipped:
            yield f"{one.name.value}: not applicable: {one.skipped}"
            continue
        yield f"{one.name.value}: {_figures(one)}"
        yield from _counters(counts_of(one.jobs), noun, "  ")
    if len([one for one in report.scenarios if not one.skipped]) > 1:
        yield ""
        yield "all:"
        yield from _counters(counts_of(jobs), noun, "  ")
    yield from _listed(f"INVALID {noun.upper()} EVEN ALONE (no race):", report.alone)
    in_output = [job for job in report.bad if job.has_output and not job.is_valid]
    others = [job for job in report.bad if job not in in_output]
    yield from _listed(f"INVALID {noun.upper()} DETECTED:", [_line(job) for job in in_output])
    yield from _listed("OTHER BAD JOBS:", [_line(job) for job in others])
    if report.callbacks_skipped:
        yield ""
        yield f"callbacks: not looked at: {report.callbacks_skipped}"
    yield from _listed("worth a look:", report.notes)


def _counters(counts: Counts, noun: str, indent: str) -> Iterator[str]:
    beside = f", and {counts.exclusive} exclusive" if counts.exclusive else ""
    yield f"{indent}Total jobs: {counts.total}{beside}"
    yield f"{indent}Completed: {counts.completed}"
    yield f"{indent}Valid {noun}: {counts.valid}"
    yield f"{indent}Invalid/incomplete {noun}: {counts.invalid}"
    yield f"{indent}No {noun}: {counts.without_output}"
    yield indent + ", ".join(f"{kind.value} {counts.by_kind.get(kind, 0)}" for kind in _COUNTED)


def _figures(one: ScenarioReport) -> str:
    took = [job.seconds for job in one.jobs if job.is_completed]
    words = f"{len(one.jobs)} jobs in {one.seconds:.1f} s"
    if took:
        words += f", each {statistics.median(took):.2f} s (median), at most {max(took):.2f} s"
    if one.callbacks is not None:
        words += f"; {one.callbacks.matched} of {one.callbacks.expected} callbacks matched"
        words += f", {one.callbacks.told_again} told again" if one.callbacks.told_again else ""
    return words


def _line(job: Job) -> str:
    saved = f" [{job.saved}]" if job.saved else ""
    reasons = "; ".join(f"{why.kind.value}: {why.reason}" for why in job.problems[:PROBLEMS_NAMED_MAX])
    return f"{job.name} ({job.scenario.value}, {job.variant.name}): {reasons}{saved}"


def _listed(head: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield head
        yield from (f"  - {line}" for line in lines)


def _finding(id_: str, problems: Sequence[str], well: str, remedy: str) -> Finding:
    if not problems:
        return Finding(id_, Outcome.OK, well)
    more = f"; and {len(problems) - PROBLEMS_NAMED_MAX} more" if len(problems) > PROBLEMS_NAMED_MAX else ""
    return Finding(
        id_, Outcome.FAILED, "; ".join(problems[:PROBLEMS_NAMED_MAX]) + more, remedy, {"jobs": len(problems)}
    )


_ALONE_REMEDY = "It is no race: look at it with one request, such as by `seatrial verify`."
_RACE_REMEDY = (
    "Keep nothing of one request where another one finds it: no module-level buffer, no file of a fixed name, no model "
    "state that two threads change. Write a file under another name and rename it when it is whole."
)
_CHECKS = (
    (
        "stress.ended",
        (Kind.LOST, Kind.REFUSED, Kind.FAILED, Kind.EMPTY),
        "every request was accepted and ended with a result",
        "The target's log says more; `--patience` gives slow jobs more time.",
    ),
    ("stress.whole", (Kind.PARTIAL, Kind.INVALID), "every output is whole and as declared", _RACE_REMEDY),
    ("stress.own", (Kind.CROSSED, Kind.DIFFERS), "every output is the one that its request gives alone", _RACE_REMEDY),
    ("stress.once", (Kind.DUPLICATED,), "every request is one job, with one end and one output", _RACE_REMEDY),
    ("stress.told", (Kind.UNTOLD,), "callbacks and jobs match one to one", "The target's deliveries say more."),
)
