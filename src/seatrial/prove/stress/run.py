"""A whole stress run: baselines alone, the scenarios, what they gave, and nothing left behind."""

from __future__ import annotations

import mimetypes
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from seatrial.prove.request import Request
from seatrial.prove.stress.baseline import Baseline, baselines_of, crossed_alone
from seatrial.prove.stress.callbacks import Callbacks
from seatrial.prove.stress.job import Job
from seatrial.prove.stress.judge import Judge
from seatrial.prove.stress.load import Load, Patience
from seatrial.prove.stress.report import Report, ScenarioReport
from seatrial.prove.stress.scenarios import SCENARIOS, Pressure
from seatrial.prove.stress.settings import ScenarioName, Settings
from seatrial.prove.stress.variants import Variant
from seatrial.prove.targets.answer import Answer
from seatrial.prove.targets.target import Target
from seatrial.prove.targets.trouble import TargetTrouble

NO_EXCLUSIVE = "the contract has no exclusive task with a sample; name one with --interfere"


class Progress(Protocol):
    """Whom the run tells how far it is."""

    def begin(self, what: str, total: int) -> None:
        """Something with so many steps begins."""
        ...

    def step(self, bad: bool) -> None:
        """One more is done."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent. `callbacks` None: with the reason why none are asked for. `keep`: a folder for bad outputs."""

    settings: Settings
    variants: Sequence[Variant]
    exclusive: Variant | None
    callbacks: Callbacks | None
    callbacks_skipped: str = ""
    keep: Path | None = None


class Run:
    """One run against one target. Ctrl-C ends it early: what is under way is cancelled, and the report says so."""

    def __init__(self, target: Target, plan: Plan, progress: Progress) -> None:
        self._target = target
        self._plan = plan
        self._progress = progress
        self._id = uuid.uuid4().hex[:12]
        self._sent_alone = 0
        self._judge: Judge | None = None
        self._load = Load(target, Patience(plan.settings.patience_seconds), self._addressed, self._look, self._ended)
        self.report = Report(f"{target.wire}:{target.name}", plan.settings, callbacks_skipped=plan.callbacks_skipped)

    def run(self) -> Report:
        """All of it.

        Raises:
            BaselineFailed: a request does not succeed even alone.
            TargetTrouble: the target cannot be used.
            MissingLibrary: looking at the outputs needs the extra `validate`.
        """
        try:
            self._measure()
            self._press()
        except KeyboardInterrupt:
            self.report.interrupted = True
            given_up = self._load.stop()
            self.report.notes.append(f"interrupted: {given_up} jobs under way were given up")
        finally:
            self._load.stop()
            self._clean()
        return self.report

    def _measure(self) -> None:
        repeats = self._plan.settings.baseline_repeats
        self._progress.begin("baseline, one by one", len(self._plan.variants) * repeats)
        baselines = baselines_of(self._plan.variants, repeats, self._alone, lambda: self._progress.step(False))
        self._judge = Judge(baselines)
        self.report.variants = [_told(one) for one in baselines.values()]
        faults = [f"{one.variant.name}: {fault.message}" for one in baselines.values() for fault in one.faults]
        self.report.alone = faults + crossed_alone(baselines)
        if len({frozenset(one.digests) for one in baselines.values()}) == 1 and all(
            not next(iter(baselines.values())).differing(one.content) for one in baselines.values()
        ):
            words = "all requests give the same answer alone, so crossed answers cannot be told: vary them with --vary"
            self.report.notes.append(words)

    def _press(self) -> None:
        order = random.Random(self._plan.settings.seed)  # noqa: S311 - an order, not a secret
        for name in self._plan.settings.scenarios:
            one = ScenarioReport(name)
            self.report.scenarios.append(one)
            if name is ScenarioName.INTERFERENCE and self._plan.exclusive is None:
                one.skipped = NO_EXCLUSIVE
                continue
            self._scenario(one, order)

    def _scenario(self, one: ScenarioReport, order: random.Random) -> None:
        plan = self._plan

        def make(name: ScenarioName, variant: Variant, exclusive: bool) -> Job:
            job = Job(sum(len(other.jobs) for other in self.report.scenarios) + 1, name, variant, exclusive)
            one.jobs.append(job)
            return job

        self._progress.begin(one.name.value, plan.settings.jobs_of(one.name))
        pressure = Pressure(self._load, plan.settings, plan.variants, plan.exclusive, order, make)
        began = time.monotonic()
        SCENARIOS[one.name](pressure)
        one.seconds = time.monotonic() - began
        self.report.notes += pressure.notes
        if plan.callbacks is not None:
            told = [job for job in one.jobs if self._target.calls_back(job.variant.request)]
            one.callbacks = plan.callbacks.match(told, plan.settings.callback_seconds, self._digests_alone())
        if self._judge is not None:
            self._judge.confirm(self._alone)
            self.report.notes += [note for note in self._judge.notes if note not in self.report.notes]

    def _digests_alone(self) -> dict[str, set[str]]:
        return {} if self._judge is None else {name: one.digests for name, one in self._judge.baselines.items()}

    # ------------------------------------------------------------ what the load asks for

    def _alone(self, variant: Variant) -> Answer:
        self._sent_alone += 1
        self.report.requests_alone = self._sent_alone
        return self._load.alone(variant)

    def _addressed(self, request: Request, label: str, number: int) -> Request:
        suffix = f"{number}" if number else f"alone-{self._sent_alone}"
        named = replace(request, id=f"stress-{self._id}-{suffix}")
        callbacks = self._plan.callbacks
        if callbacks is None or not number or not self._target.calls_back(request):
            return named
        return callbacks.addressed(named, number)

    def _look(self, job: Job, answer: Answer) -> None:
        if self._judge is not None:
            self._judge.look(job, answer)
        if self._plan.keep is not None and answer.parts and (job.problems or self._is_suspect(job)):
            self._save(job, answer, self._plan.keep)

    def _is_suspect(self, job: Job) -> bool:
        return self._judge is not None and self._judge.suspects(job)

    def _save(self, job: Job, answer: Answer, folder: Path) -> None:
        place = folder / job.name
        place.mkdir(parents=True, exist_ok=True)
        for number, part in enumerate(answer.parts):
            file = place / f"{number}{_extension(part.media_type)}"
            file.write_bytes(part.data)
            job.saved = job.saved or str(file)

    def _ended(self, job: Job) -> None:
        self._progress.step(bool(job.problems) or self._is_suspect(job))

    def _clean(self) -> None:
        try:
            cleaned = self._target.clean(self._load.created)
        except TargetTrouble as trouble:
            self.report.notes.append(f"inputs could not be removed: {trouble}")
            return
        if cleaned.left:
            self.report.notes.append(f"{len(cleaned.left)} inputs were left behind: {cleaned.reason}")


def _told(one: Baseline) -> dict[str, object]:
    return {
        "variant": one.variant.name,
        "seconds_alone": round(one.seconds, 3),
        "varying": sorted(one.varying),
        "invalid": [fault.message for fault in one.faults],
    }


def _extension(media_type: str) -> str:
    return mimetypes.guess_extension(media_type.partition(";")[0].strip()) or ""
