"""When an answer differs from the one given alone: is it chance, or what ran before or beside it?

Chance differs on fresh workers too. So a difference is held against a handler if fresh workers, asked alone and so
often that chance would have shown by then, agree with each other run by run; or if their answers vary among a few
values, and what was answered is none of them. What differs only from process to process (the order of a set, a name
made while loading) is chance as well: more fresh workers are asked before that is excluded. What a process fixes when
it starts, it answers each time; where only the first answers of fresh workers differ, what comes later is none of it.

A race within a handler shows when it is alone, too. It is told from chance by a value of which chance does not bring
about one twice, such as the bytes of a picture: if most answers agree on it, by Wilson's lower confidence bound
(E. B. Wilson, 1927), the others are wrong.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from seatrial.domain.errors import Unproven
from seatrial.domain.jobs import JobState
from seatrial.domain.limits import (
    DRILL_FRESH_SECONDS,
    DRILL_FRESH_WORKERS_MAX,
    DRILL_REPEATS_ALONE,
    DRILL_REPEATS_ALONE_MAX,
    DRILL_STRETCH,
    VALUE_SHOWN_CHARS_MAX,
)
from seatrial.engine.crew import Crew
from seatrial.engine.trial.answer import Answer, differing, read_answer
from seatrial.engine.trial.court import Court
from seatrial.engine.trial.prove import Proof
from seatrial.engine.trial.reason import failure_of, unproven
from seatrial.engine.trial.runs import Runs
from seatrial.prove.differences import tells_of_the_run

MOST = 0.5  # a share of runs that answer alike which, if it is surely exceeded, makes the others wrong
SURELY = 4.0  # standard deviations; it is looked at after every answer
MISSED_BY_CHANCE = 0.001  # the chance that it shows once beside others, and never in all runs alone
REPEATS_SECONDS = 4.0  # of runs on each of the first two fresh workers; of quick ones DRILL_STRETCH times that
WARM = 2  # runs after which an answer tells of the process, and no longer of its start
REPEATS = 30  # on each of them, as far as that time allows
REPEATS_OF_SHORT = 60  # the same, where a value is so short that chance brings it about twice
RICH_CHARS = 24  # values of that length do not come about twice by chance
REMEDY = (
    "Keep nothing of one request for the next: no module-level buffers or counters, no file of a fixed name, no thread "
    "that goes on after the answer. If this field may differ from run to run, name it in `varying` of the task's "
    "[output]; if only its digits do, set `tolerance`."
)


@dataclass(slots=True)
class _Varying:
    """Where the answers of a task vary by themselves; in the paths `among_few`, among values that come again."""

    paths: set[str] = field(default_factory=set)
    among_few: set[str] = field(default_factory=set)


class Suspicion:
    """Remembers all answers of a drill, and for each task where they vary by themselves."""

    def __init__(self, court: Court, crew: Crew, runs: Runs, stage: str) -> None:
        self._court = court
        self._crew = crew
        self._runs = runs
        self._stage = stage
        self._varying: dict[str, _Varying] = {}
        self._seen: dict[str, list[Answer]] = {}
        self._alone: dict[tuple[str, str], set[str]] = {}  # by sample and path among few: what was answered alone

    @property
    def found(self) -> dict[str, list[str]]:
        """By task, where answers vary by themselves."""
        return {task: sorted(varying.paths) for task, varying in self._varying.items() if varying.paths}

    async def look(self, proof: Proof, answer: Answer) -> None:
        """One more answer. Raises Unproven: it depends on what ran before or beside it."""
        seen = self._seen.setdefault(proof.where, [proof.answer.light()])
        seen.append(answer.light())
        varying = self._varying.setdefault(proof.task.name, _Varying())
        paths = await differing(proof.answer, answer, proof.task.output, frozenset(varying.paths))
        excused = {path for path in paths if tells_of_the_run(path)}
        varying.paths |= excused
        suspect = [path for path in paths if path not in excused]
        suspect += [one for one in varying.among_few if answer.at(one) not in self._alone.get((proof.where, one), ())]
        if suspect:
            await self._judge(proof, answer, suspect, varying)
        self._check_agreement(proof, seen, varying)

    async def _judge(self, proof: Proof, answer: Answer, paths: Sequence[str], varying: _Varying) -> None:
        """Excuse each path, and remember what may be answered there, or accuse the handler."""
        times = self._times(proof, [answer.at(path) for path in paths])
        alone = [await self._fresh(proof, times), await self._fresh(proof, times)]
        alone = [answers[: min(map(len, alone))] for answers in alone]  # the slower one was asked less often
        by_chance = await self._run_by_run(proof, alone[0], alone[1])
        others = [one for one in paths if one not in by_chance]
        by_process = await self._by_process(proof, alone[0][WARM - 1], others) if others else set()
        by_chance |= by_process
        for answers in alone:  # what a process has fixed it answers each time
            by_process -= await self._run_by_run(proof, [answers[0]] * len(answers), answers)
        for path in paths:
            first, second = ({one.at(path) for one in answers} for answers in alone)
            known = self._alone.setdefault((proof.where, path), set())
            known |= first | second
            among_few = bool(first & second) and path not in by_process
            was_usual = {answer.at(path)} == known  # then it was the answer of `prove` that was not
            is_strange = answer.at(path) not in known if among_few else False
            if is_strange or (path not in by_chance and not was_usual):
                raise self._accused(proof, path, answer, alone[0][0])
            varying.paths.add(path)
            varying.among_few.discard(path)
            if among_few:
                varying.among_few.add(path)
        self._seen[proof.where] += [one.light() for answers in alone for one in answers]

    async def _run_by_run(self, proof: Proof, first: Sequence[Answer], second: Sequence[Answer]) -> set[str]:
        """Where two fresh workers, asked the same so often, differ."""
        found: set[str] = set()
        for one, other in zip(first, second, strict=True):
            found |= set(await differing(one, other, proof.task.output, frozenset()))
        return found

    async def _by_process(self, proof: Proof, first: Answer, paths: Sequence[str]) -> set[str]:
        """Where the second answers of further fresh workers differ: as many of them as time allows, or are needed."""
        clock = self._court.clock
        found: set[str] = set()
        ends_ms = clock.monotonic_ms() + int(DRILL_FRESH_SECONDS * 1000)
        workers = 2
        while workers < DRILL_FRESH_WORKERS_MAX and clock.monotonic_ms() < ends_ms and not found.issuperset(paths):
            *_, answer = await self._fresh(proof, WARM)
            found |= set(await differing(first, answer, proof.task.output, frozenset()))
            workers += 1
        return found

    def _times(self, proof: Proof, values: Sequence[str]) -> int:
        """How often to ask each of two fresh workers.

        So often that what showed once in all runs beside others would show, were it chance; as far as time allows.
        """
        rich = all(len(value) >= RICH_CHARS for value in values)
        seen = len(self._seen[proof.where])
        wanted = max(REPEATS if rich else REPEATS_OF_SHORT, math.ceil(-math.log(MISSED_BY_CHANCE) * seen / 2))
        return min(wanted, DRILL_REPEATS_ALONE_MAX)

    async def _fresh(self, proof: Proof, times: int) -> list[Answer]:
        """What a fresh worker answers when it is asked the same so often, as far as time allows, and nothing else."""
        clock, workers = self._court.clock, self._crew.desired
        self._crew.scale(1)
        await self._crew.stop_all()
        answers: list[Answer] = []
        is_quick = times * proof.seconds < REPEATS_SECONDS  # if it takes longer all the same, the machine is busy
        ends_ms = clock.monotonic_ms() + int(REPEATS_SECONDS * (DRILL_STRETCH if is_quick else 1) * 1000)
        while len(answers) < times and (len(answers) < DRILL_REPEATS_ALONE or clock.monotonic_ms() < ends_ms):
            job = await self._runs.run(proof.submission)
            if job.state is not JobState.SUCCEEDED:
                raise unproven(self._stage, f"{proof.where} passed alone, and later failed", failure_of(job))
            answers.append(await read_answer(self._court.objects, job))
            await self._runs.forget([job])
        self._crew.scale(workers)
        return answers

    def _check_agreement(self, proof: Proof, seen: Sequence[Answer], varying: _Varying) -> None:
        """Of a field that seemed to vary by chance: most answers agree, and it is nothing that chance repeats."""
        for path in varying.among_few:
            values = Counter(answer.at(path) for answer in seen)
            value, count = values.most_common(1)[0]
            if len(value) >= RICH_CHARS and len(values) > 1 and share_at_least(count, len(seen)) > MOST:
                odd = next(answer for answer in seen if answer.at(path) != value)
                usual = next(answer for answer in seen if answer.at(path) == value)
                raise self._accused(proof, path, odd, usual)

    def _accused(self, proof: Proof, path: str, odd: Answer, usual: Answer) -> Unproven:
        where = f"at {path!r}" if path else "as a whole"
        message = (
            f"{proof.where}: its answer depends on what ran before or beside it, {where}: "
            f"{_shown(odd, path)} instead of {_shown(usual, path)}"
        )
        return Unproven(self._stage, message, field=path or None, details={"remedy": REMEDY, "job_id": odd.job_id})


def share_at_least(count: int, runs: int) -> float:
    """Wilson's lower bound of the share behind `count` of `runs`, at SURELY standard deviations."""
    share, square = count / runs, SURELY * SURELY
    spread = SURELY * math.sqrt(share * (1 - share) / runs + square / (4 * runs * runs))
    return (share + square / (2 * runs) - spread) / (1 + square / runs)


def _shown(answer: Answer, path: str) -> str:
    part = answer.parts.get(path)
    if part is not None:
        return f"{part.size_bytes:,} bytes with SHA-256 {part.sha256[:12]}…"
    text = answer.at(path)
    return text if len(text) <= VALUE_SHOWN_CHARS_MAX else text[:VALUE_SHOWN_CHARS_MAX] + "…"
