"""The stage `prove`: every sample of every task, then every alias and every declared form of the input, once each.

Forms of the input are the ways to send a media field, and the pictures that its contract declares (reencoding.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from seatrial.domain.checking import doubtful_words
from seatrial.domain.contract import Contract, Field, FieldType, Sample, Task
from seatrial.domain.errors import SeatrialError, Unproven
from seatrial.domain.jobs import Job, JobState
from seatrial.engine.submission import Submission
from seatrial.engine.trial.answer import Answer, differing, read_answer
from seatrial.engine.trial.callbacks import Callbacks
from seatrial.engine.trial.court import Court
from seatrial.engine.trial.estimate import Estimate
from seatrial.engine.trial.reason import failure_of, unproven
from seatrial.engine.trial.reencoding import NotMade, Variant, variants
from seatrial.engine.trial.runs import Runs, handler_seconds
from seatrial.engine.trial.samples import SampleRequests
from seatrial.ports.object_store import NoSuchBucket
from seatrial.prove.differences import tells_of_the_run

STAGE = "prove"
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Proof:
    """A sample that passed: what it answered when it ran alone, and how long its handler took."""

    task: Task
    sample: Sample
    submission: Submission
    answer: Answer
    seconds: float
    job: Job

    @property
    def where(self) -> str:
        """For people."""
        return named(self.task, self.sample)


@dataclass(frozen=True, slots=True)
class _Request:
    """One run of the stage: a sample, or another name or form of one. `of_field` is that of a `picture`."""

    task: Task
    sample: Sample
    words: str
    variant: dict[str, Any] = field(default_factory=dict)
    of_field: str = ""
    picture: Variant | None = None


def named(task: Task, sample: Sample) -> str:
    """A sample, for people."""
    return f"Sample {sample.name!r}" + (f" of task {task.name!r}" if task.name else "")


def tasks_of(contract: Contract) -> tuple[Task, ...]:
    """The declared tasks, or one without a name that has the loose samples."""
    return contract.tasks if contract.declared else (Task("", samples=contract.loose_samples),)


class Proving:
    """`bounds` is an estimate without its counts; what will run, and how long it takes, is told to `tell`.

    `seconds_left` is asked before each alias and form: what no longer fits is named in the report, not run."""

    def __init__(
        self,
        court: Court,
        contract: Contract,
        requests: SampleRequests,
        runs: Runs,
        progress: Progress,
        seconds_left: Callable[[], float],
        bounds: Estimate,
        tell: Callable[[Estimate], None],
    ) -> None:
        self._court = court
        self._contract = contract
        self._requests = requests
        self._runs = runs
        self._progress = progress
        self._seconds_left = seconds_left
        self._bounds = bounds
        self._tell = tell
        self._warnings: list[str] = []
        self.proofs: list[Proof] = []
        self.device_peak_bytes = 0  # the most that a run held on the device

    async def run(self, callbacks: Callbacks) -> tuple[str, dict[str, Any]]:
        """The words and details of the report.

        The end of each task's first sample is told to `callbacks`.

        Raises:
            Unproven: a run failed, was too slow, answered what was not expected, or its callback did not arrive.
        """
        tasks = tasks_of(self._contract)
        whole = [_Request(task, sample, named(task, sample)) for task in tasks for sample in task.samples]
        runs: list[dict[str, Any]] = []
        left_out: list[str] = []
        estimate = await self._estimate(len(whole))
        for number, request in enumerate(whole):
            self._tell(self._measured(estimate))
            self._progress(f"proving {request.words}", number, len(whole))
            is_first = request.sample is request.task.samples[0]
            runs.append(await self._prove(request, callbacks if is_first else None))
        self._tell(self._measured(estimate))
        others = [*self._others(), *await self._pictures(left_out)]
        for number, request in enumerate(others):
            self._progress(f"proving {request.words}", number, len(others))
            cost = self._cost(request.task, request.sample) * max(1.0, request.picture.ratio if request.picture else 1)
            if cost > self._seconds_left():
                left_out.append(f"{request.words}: it would take {cost:.0f} s")
            elif request.picture is not None:
                runs += await self._prove_picture(request, request.picture, left_out)
            else:
                runs.append(await self._prove(request))
        if not runs:
            return "unproven: deployed without samples", {}
        passed = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
        notes = {"left_out": left_out, "warnings": self._warnings}
        details = {"samples": runs, "estimate": self._measured(estimate).told()}
        details |= {name: said for name, said in notes.items() if said}
        return f"{passed} passed" + (f", {len(left_out)} left out" if left_out else ""), details

    async def _estimate(self, samples: int) -> Estimate:
        others, pictures = len(list(self._others())), len(await self._pictures([]))
        return replace(self._bounds, samples=samples, aliases_and_forms=others, pictures=pictures)

    def _measured(self, estimate: Estimate) -> Estimate:
        seconds = [proof.seconds for proof in self.proofs]
        return replace(estimate, seconds_per_run=sum(seconds) / len(seconds) if seconds else None)

    async def output_buckets(self, *names: str) -> None:
        """The trial's own results go to a bucket of the server's; those of clients must be there too."""
        for name in names:
            try:
                await self._court.objects.list(name, limit=1)
            except NoSuchBucket:
                remedy = f"Create it: aws s3 mb s3://{name}"
                message = f"The output bucket {name!r} does not exist."
                raise Unproven(STAGE, message, details={"remedy": remedy}) from None

    def _others(self) -> Iterator[_Request]:
        """Each alias, and each other form of a media field, with the quickest sample that has passed."""
        for task in self._contract.tasks:
            if not task.samples:
                continue
            quickest = self._quickest(task, task.samples)
            for alias in task.aliases:
                yield _Request(task, quickest, f"alias {alias!r} of task {task.name!r}", {"name": alias})
            for one in task.fields:
                with_file = [sample for sample in task.samples if one.name in sample.files]
                if not one.is_media or not with_file:
                    continue
                for source in self._requests.other_sources(one):
                    words = f"field {one.name!r} of task {task.name!r} as {source.value}"
                    yield _Request(task, self._quickest(task, with_file), words, {"sources": {one.name: source}})

    async def _pictures(self, left_out: list[str]) -> list[_Request]:
        """Of each image field the pictures that it declares, made of the file of the quickest sample that has one."""
        requests = []
        for task in self._contract.tasks:
            for one in task.fields:
                with_picture = [sample for sample in task.samples if _has_picture(task, sample, one)]
                if not with_picture:
                    continue
                sample = self._quickest(task, with_picture)
                content = await self._requests.picture_of(sample, one.name)
                for made in await asyncio.to_thread(lambda: list(variants(one, content))):  # noqa: B023
                    words = f"field {one.name!r} of task {task.name!r} {made.words}"
                    if isinstance(made, NotMade):
                        left_out.append(f"{words}: {made.why}")
                    else:
                        requests.append(_Request(task, sample, words, of_field=one.name, picture=made))
        return requests

    async def _prove_picture(self, request: _Request, picture: Variant, left_out: list[str]) -> list[dict[str, Any]]:
        declared = request.task.field_named(request.of_field)
        assert declared is not None  # noqa: S101  the request was made for it
        content = await asyncio.to_thread(picture.make)
        if len(content) > declared.bytes_max:
            left_out.append(f"{request.words}: it has {len(content):,} bytes, and bytes_max is {declared.bytes_max:,}")
            return []
        try:
            run = await self._prove(_sent(request, picture, content))
            return [run, *await self._check_heeded(request, picture, run["job_id"])]
        except Unproven as error:
            remedy = f"Let the handler take such a picture; or {picture.narrow} in "
            remedy += f"[tasks.{request.task.name}.input.{request.of_field}], so that clients are refused it."
            raise Unproven(STAGE, error.message, details=error.extra | {"remedy": remedy}) from None

    async def _check_heeded(self, request: _Request, picture: Variant, job_id: str) -> list[dict[str, Any]]:
        """A further run, of the same pixels without what was to be heeded; none where the sample's answer came.

        Raises:
            Unproven: its answer is the same.
        """
        if picture.unheeded is None:
            return []
        task, output = request.task, request.task.output
        alone = next(one.answer for one in self.proofs if one.task is task and one.sample is request.sample)
        heeded = await self._answer(job_id)
        if not await differing(alone, heeded, output, frozenset()):
            return []
        without = replace(request, words=f"{request.words}, without its orientation")
        run = await self._prove(_sent(without, picture, await asyncio.to_thread(picture.unheeded)))
        paths = await differing(heeded, await self._answer(run["job_id"]), output, frozenset())
        if all(tells_of_the_run(path) for path in paths):
            message = f"{request.words}: the answer is the one to the same pixels without the orientation."
            raise Unproven(STAGE, f"{message} It is not heeded.", details={"job_id": job_id})
        return [run]

    async def _answer(self, job_id: str) -> Answer:
        return await read_answer(self._court.objects, await self._court.inspector.job(job_id))

    def _quickest(self, task: Task, samples: Sequence[Sample]) -> Sample:
        return min(samples, key=lambda sample: self._cost(task, sample))

    def _cost(self, task: Task, sample: Sample) -> float:
        """How long the sample took, in seconds."""
        return next((one.seconds for one in self.proofs if one.task is task and one.sample is sample), 0.0)

    async def _prove(self, request: _Request, callbacks: Callbacks | None = None) -> dict[str, Any]:
        task, sample, where = request.task, request.sample, request.words
        ticket = callbacks.ticket() if callbacks is not None else None
        started_ms = self._court.clock.monotonic_ms()
        try:
            submission = await self._requests.submission(self._contract, task, sample, **request.variant)
            job = await self._runs.run(replace(submission, webhooks=(ticket.url,) if ticket else ()))
        except Unproven:
            raise
        except SeatrialError as error:
            raise Unproven(STAGE, f"{where}: {error.message}", details=error.details) from None
        if job.state is not JobState.SUCCEEDED:
            raise unproven(STAGE, f"{where} failed", failure_of(job))
        if job.memory is not None:
            self.device_peak_bytes = max(self.device_peak_bytes, job.memory.device_peak_bytes or 0)
        seconds = handler_seconds(job)
        if request.picture is None:  # what a sample promises is not said of other pictures
            await self._requests.expect(job, sample, where)
            check_latency(task, where, seconds, job)
        if not request.variant:
            answer = await read_answer(self._court.objects, job)
            self._warnings += await asyncio.to_thread(doubts, task, where, submission, answer)
            self.proofs.append(Proof(task, sample, submission, answer, seconds, job))
        reported = _reported(request, job, self._court.clock.monotonic_ms() - started_ms)
        if callbacks is not None and ticket is not None:
            reported["callback"] = await callbacks.check(ticket, job, where)
        return reported


def _sent(request: _Request, picture: Variant, content: bytes) -> _Request:
    return replace(request, variant={"contents": {request.of_field: (picture.file_name, content)}})


def _has_picture(task: Task, sample: Sample, one: Field) -> bool:
    """As a file of its own, or as the whole body, where that is the task's only media field."""
    if one.type is not FieldType.IMAGE:
        return False
    is_body = sample.media_type.startswith("image/") and sum(field.is_media for field in task.fields) == 1
    return one.name in sample.files or is_body


def doubts(task: Task, where: str, submission: Submission, answer: Answer) -> list[str]:
    """One warning, or none: words in the answer that a real result seldom has."""
    if not task.output.soft_failures:
        return []
    asked = submission.body.decode(errors="replace") if isinstance(submission.body, bytes) else ""
    found = doubtful_words(answer.text or answer.value, asked)
    if not found:
        return []
    message = f"{where} answered {', '.join(found)}: see whether its model worked."
    return [f"{message} If such words are results here, set soft_failures = false in the task's [output]."]


def check_latency(task: Task, where: str, seconds: float, job: Job) -> None:
    """Raises Unproven: that was longer than the task's budget."""
    budget = task.latency_seconds_max
    if budget is not None and seconds > budget:
        remedy = "Make the handler faster, or raise latency_seconds_max of the task."
        message = f"{where} took {seconds:.1f} s, and its budget is {budget:g} s."
        raise Unproven(STAGE, message, details={"remedy": remedy, "seconds": seconds, "job_id": job.id})


def _reported(request: _Request, job: Job, duration_ms: int) -> dict[str, Any]:
    said = {"task": request.task.name, "sample": request.sample.name, "job_id": job.id, "duration_ms": duration_ms}
    return said | ({"as": request.words} if request.variant else {})
