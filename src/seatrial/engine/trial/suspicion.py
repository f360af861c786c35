"""When an answer differs from the one given alone: is it chance, or what ran before or beside it?

Chance differs on fresh workers too. So a difference is held against a handler only if fresh workers, asked alone,
agree with each other where the answer differs; or if most runs agree on something that chance does not bring about
twice, such as the bytes of a picture, and some do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from seatrial.domain.errors import Unproven
from seatrial.domain.jobs import JobState
from seatrial.domain.limits import DRILL_REPEATS_ALONE, DRILL_REPEATS_ALONE_MAX, VALUE_SHOWN_CHARS_MAX
from seatrial.engine.crew import Crew
from seatrial.engine.trial.answer import Answer, differing, read_answer
from seatrial.engine.trial.court import Court
from seatrial.engine.trial.prove import Proof
from seatrial.engine.trial.reason import failure_of, unproven
from seatrial.engine.trial.runs import Runs
from seatrial.prove.differences import tells_of_the_run

AGREEMENT = 0.6  # the share of runs that answer alike, from which on the others are wrong
RUNS_FOR_AGREEMENT = 5
REPEATS_SECONDS = 4.0  # of runs on each fresh worker, where short values differ
RICH_CHARS = 24  # values of that length do not come about twice by chance
REMEDY = (
    "Keep nothing of one request for the next: no module-level buffers or counters, no file of a fixed name, no thread "
    "that goes on after the answer. If this field may differ from run to run, name it in `varying` of the task's "
    "[output]; if only its digits do, set `tolerance`."
)


class Suspicion:
    """Remembers all answers of a drill, and for each task where they vary by themselves."""

    def __init__(self, court: Court, crew: Crew, runs: Runs, stage: str) -> None:
        self._court = court
        self._crew = crew
        self._runs = runs
        self._stage = stage
        self._varying: dict[str, set[str]] = {}
        self._seen: dict[str, list[Answer]] = {}

    @property
    def found(self) -> dict[str, list[str]]:
        """By task, where answers vary by themselves."""
        return {task: sorted(paths) for task, paths in self._varying.items() if paths}

    async def look(self, proof: Proof, answer: Answer) -> None:
        """One more answer. Raises Unproven: it depends on what ran before or beside it."""
        seen = self._seen.setdefault(proof.where, [proof.answer.light()])
        seen.append(answer.light())
        varying = self._varying.setdefault(proof.task.name, set())
        paths = await differing(proof.answer, answer, proof.task.output, frozenset(varying))
        excused = {path for path in paths if tells_of_the_run(path)}
        varying |= excused
        suspect = [path for path in paths if path not in excused]
        if suspect:
            await self._judge(proof, answer, suspect)
        self._check_agreement(proof, seen)

    async def _judge(self, proof: Proof, answer: Answer, paths: Sequence[str]) -> None:
        times = self._times(proof, [answer.at(path) for path in paths])
        first, second = await self._fresh(proof, times), await self._fresh(proof, times)
        by_chance: set[str] = set()
        for one, other in zip(first, second, strict=True):
            by_chance |= set(await differing(one, other, proof.task.output, frozenset()))
        guilty = [path for path in paths if path not in by_chance]
        self._varying[proof.task.name] |= set(paths) & by_chance
        if guilty:
            raise self._accused(proof, guilty[0], answer)

    def _times(self, proof: Proof, values: Sequence[str]) -> int:
        """How often to ask a fresh worker: chance brings a short value about twice, so then as often as time allows."""
        if all(len(value) >= RICH_CHARS for value in values):
            return DRILL_REPEATS_ALONE
        affordable = int(REPEATS_SECONDS / max(proof.seconds, 0.001))
        return max(DRILL_REPEATS_ALONE, min(DRILL_REPEATS_ALONE_MAX, affordable))

    async def _fresh(self, proof: Proof, times: int) -> list[Answer]:
        """What a fresh worker answers when it is asked the same so often, and nothing else."""
        workers = self._crew.desired
        self._crew.scale(1)
        await self._crew.stop_all()
        answers = []
        for _ in range(times):
            job = await self._runs.run(proof.submission)
            if job.state is not JobState.SUCCEEDED:
                raise unproven(self._stage, f"{proof.where} passed alone, and later failed", failure_of(job))
            answers.append(await read_answer(self._court.objects, job))
            await self._runs.forget([job])
        self._crew.scale(workers)
        return answers

    def _check_agreement(self, proof: Proof, seen: Sequence[Answer]) -> None:
        """Of a field that seemed to vary by chance: most answers agree, and it is nothing that chance repeats."""
        if len(seen) < RUNS_FOR_AGREEMENT:
            return
        for path in self._varying[proof.task.name]:
            if tells_of_the_run(path):
                continue
            values = Counter(answer.at(path) for answer in seen)
            value, count = values.most_common(1)[0]
            rich = len(value) >= RICH_CHARS
            if rich and len(values) > 1 and count >= AGREEMENT * len(seen):
                odd = next(answer for answer in seen if answer.at(path) != value)
                raise self._accused(proof, path, odd)

    def _accused(self, proof: Proof, path: str, answer: Answer) -> Unproven:
        where = f"at {path!r}" if path else "as a whole"
        message = (
            f"{proof.where}: its answer depends on what ran before or beside it, {where}: "
            f"{_shown(answer, path)} instead of {_shown(proof.answer, path)}"
        )
        return Unproven(self._stage, message, field=path or None, details={"remedy": REMEDY, "job_id": answer.job_id})


def _shown(answer: Answer, path: str) -> str:
    part = answer.parts.get(path)
    if part is not None:
        return f"{part.size_bytes:,} bytes with SHA-256 {part.sha256[:12]}…"
    text = answer.at(path)
    return text if len(text) <= VALUE_SHOWN_CHARS_MAX else text[:VALUE_SHOWN_CHARS_MAX] + "…"
