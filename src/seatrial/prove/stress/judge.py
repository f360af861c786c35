"""What is wrong with a job's output: damaged, not as the contract says, or not what the request gives alone.

A difference is only a suspicion at first, since chance differs as well: `confirm` asks the same again, alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from seatrial.prove.finding import Finding
from seatrial.prove.likeness import where_they_differ
from seatrial.prove.limits import (
    STRESS_ALONE_REPEATS,
    STRESS_ALONE_REPEATS_MAX,
    STRESS_ALONE_SECONDS,
    STRESS_RICH_BYTES,
)
from seatrial.prove.outputs import CONTRACT, EXISTS, HONEST
from seatrial.prove.stress.baseline import Alone, Baseline, succeeded
from seatrial.prove.stress.content import Content, content_of, differing, faults_of, same_at
from seatrial.prove.stress.job import Job, Kind, Problem
from seatrial.prove.targets.answer import Answer, State

_VALUE_CHARS_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A job whose output is not the one given alone, at these paths; `rich`: none of them comes about by chance."""

    job: Job
    reasons: Mapping[str, Problem]  # by path
    rich: bool


class Judge:
    """Looks at answers as they come; not safe in threads."""

    def __init__(self, baselines: Mapping[str, Baseline]) -> None:
        self.baselines = baselines
        self._suspicions: list[Suspicion] = []
        self._owners: dict[str, Job] = {}  # digest of what is never given twice -> who got it first
        self.notes: list[str] = []  # what is worth a look and no fault

    def look(self, job: Job, answer: Answer) -> None:
        """Write into the job what is wrong with it."""
        job.state, job.seconds = answer.state, answer.seconds
        if answer.state is not State.SUCCEEDED:
            if not job.given_up:
                kind = Kind.LOST if answer.state is State.PENDING else Kind.FAILED
                words = f"no end within {answer.seconds:.0f} s" if kind is Kind.LOST else answer.words
                job.problems.append(Problem(kind, words))
            return
        if not answer.parts or not answer.parts[0].data:
            if not job.exclusive:  # training may leave nothing that can be fetched
                job.problems.append(Problem(Kind.EMPTY, "it succeeded, and there is no output"))
            return
        content = content_of(answer)
        job.has_output = True
        job.digests = frozenset(part.sha256 for part in content.parts.values())
        job.has_image = any(part.is_picture for part in content.parts.values())
        baseline = None if job.exclusive else self.baselines.get(job.variant.name)
        self._look_at_whole(job, answer, content, baseline)
        if baseline is not None:
            self._compare(job, content, baseline)
            self._look_for_twins(job, content, baseline)

    def _look_at_whole(self, job: Job, answer: Answer, content: Content, baseline: Baseline | None) -> None:
        if baseline is not None and content.value == baseline.content.value and job.digests <= baseline.digests:
            return  # the very same was looked at, byte for byte
        known = {(fault.id, fault.message) for fault in baseline.faults} if baseline else set()
        known_ids = {fault.id for fault in baseline.faults} if baseline else set()
        for fault in faults_of(answer, job.variant):
            if (fault.id, fault.message) not in known and fault.id not in known_ids:
                job.problems.append(Problem(_kind(fault), fault.message))

    def _compare(self, job: Job, content: Content, baseline: Baseline) -> None:
        paths = baseline.differing(content)
        if not paths:
            return
        crossed = self._crossed(content, baseline, paths)
        reasons = {path: _difference(content, baseline, path, crossed) for path in paths}
        rich = all(content.is_rich(path) and baseline.content.is_rich(path) for path in paths)
        self._suspicions.append(Suspicion(job, reasons, rich))

    def _crossed(self, content: Content, own: Baseline, paths: Sequence[str]) -> Baseline | None:
        """Whose answer this is: of another request that gives this when it runs alone."""
        for other in self.baselines.values():
            if other is own or not all(same_at(content, other.content, path) for path in paths):
                continue
            varying = frozenset(own.varying | other.varying)
            if all(content.is_rich(path) for path in paths):
                return other
            if not differing(other.content, content, own.variant.task.output, varying):
                return other
        return None

    def _look_for_twins(self, job: Job, content: Content, baseline: Baseline) -> None:
        """Of a request whose outputs are never the same, two jobs have the same one."""
        for path, part in content.parts.items():
            if path not in baseline.varying or len(part.data) < STRESS_RICH_BYTES:
                continue
            first = self._owners.setdefault(part.sha256, job)
            if first is not job:
                reason = f"the same {len(part.data):,} bytes as {first.name}, and this request never gives them twice"
                job.problems.append(Problem(Kind.DUPLICATED, reason))

    def suspects(self, job: Job) -> bool:
        """Whether its output was not the one given alone."""
        return any(one.job is job for one in self._suspicions)

    # ------------------------------------------------------------ chance or not

    def confirm(self, alone: Alone, now: Callable[[], float] = time.monotonic) -> int:
        """Ask again, alone, what was suspicious, and write into the jobs what is no chance; how often it asked.

        Raises:
            BaselineFailed: a request that succeeded alone before now fails alone.
        """
        asked = 0
        by_variant: dict[str, list[Suspicion]] = {}
        for one in self._suspicions:
            by_variant.setdefault(one.job.variant.name, []).append(one)
        self._suspicions = []
        for name, suspicions in by_variant.items():
            baseline = self.baselines[name]
            repeats = self._again(baseline, all(one.rich for one in suspicions), alone, now)
            asked += len(repeats)
            chance, moved = _varied(baseline, repeats)
            baseline.varying |= chance
            for one in suspicions:
                self._hold(one, baseline, chance, moved)
        return asked

    def _again(self, baseline: Baseline, rich: bool, alone: Alone, now: Callable[[], float]) -> list[Content]:
        repeats: list[Content] = []
        began = now()
        while len(repeats) < STRESS_ALONE_REPEATS or (
            not rich and len(repeats) < STRESS_ALONE_REPEATS_MAX and now() - began < STRESS_ALONE_SECONDS
        ):
            repeats.append(content_of(succeeded(alone(baseline.variant), baseline.variant)))
        return repeats

    def _hold(self, one: Suspicion, baseline: Baseline, chance: set[str], moved: set[str]) -> None:
        for path, problem in one.reasons.items():
            if path in chance:
                continue
            if path in moved and path not in baseline.content.parts:
                note = f"{baseline.variant.name}: {path or 'the answer'} has another value after the load, alone too"
                if note not in self.notes:
                    self.notes.append(note)
                continue
            if problem.kind is Kind.DIFFERS and any(
                why.kind in (Kind.PARTIAL, Kind.INVALID) for why in one.job.problems
            ):
                return  # of course it differs: it is damaged
            if path in moved:
                reason = f"{problem.reason}; and alone it is so too now: the load left a trace"
                one.job.problems.append(Problem(problem.kind, reason))
            else:
                one.job.problems.append(problem)
            return  # one difference is enough for a line


def _varied(baseline: Baseline, repeats: Sequence[Content]) -> tuple[set[str], set[str]]:
    """Paths that differ by chance when the request runs alone, and those that are now constantly something else."""
    seen = [set(baseline.differing(one)) for one in repeats]
    everywhere = set.intersection(*seen)
    output, varying = baseline.variant.task.output, frozenset(baseline.varying)
    among = {path for one in repeats[1:] for path in differing(repeats[0], one, output, varying)}
    return (set.union(*seen) - everywhere) | (everywhere & among), everywhere - among


def _difference(content: Content, baseline: Baseline, path: str, crossed: Baseline | None) -> Problem:
    if crossed is not None:
        return Problem(Kind.CROSSED, f"what {crossed.variant.name!r} gives alone")
    where = repr(path) if path and path != "result" else "the output"
    mine, own = content.parts.get(path), baseline.content.parts.get(path)
    if mine is None and own is None:
        shown = [one if len(one) <= _VALUE_CHARS_SHOWN else one[:_VALUE_CHARS_SHOWN] + "…" for one in
                 (content.at(path), baseline.content.at(path))]  # fmt: skip
        return Problem(Kind.DIFFERS, f"{where} is {shown[0]}, alone it is {shown[1]}")
    if mine is None or own is None:
        return Problem(Kind.DIFFERS, f"{where} is there only {'now' if own is None else 'when it runs alone'}")
    if len(mine.data) < len(own.data) and own.data.startswith(mine.data):
        return Problem(Kind.PARTIAL, f"{where} ends after {len(mine.data):,} of {len(own.data):,} bytes")
    place = where_they_differ(mine.data, own.data) if mine.is_picture and own.is_picture else ""
    sizes = (
        f"{len(mine.data):,} bytes with SHA-256 {mine.sha256[:12]}…, alone {len(own.data):,} with {own.sha256[:12]}…"
    )
    return Problem(Kind.DIFFERS, f"{where} is not what it is alone: {place or sizes}")


def _kind(fault: Finding) -> Kind:
    return Kind.INVALID if fault.id in (HONEST, CONTRACT) else Kind.EMPTY if fault.id == EXISTS else Kind.PARTIAL
