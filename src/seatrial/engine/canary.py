"""One canary: samples of the version in service, run again through the real queue, storage and publication."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seatrial.domain import errors
from seatrial.domain.canary import CanaryState
from seatrial.domain.contract import Contract, Sample, Task
from seatrial.domain.endpoint import EndpointVersion, TrialStage
from seatrial.domain.errors import Busy, Conflict, NotFound, SeatrialError, Unproven
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.limits import CANARY_PRIORITY, CANARY_QUEUE_SECONDS_MAX, LONG_POLL_SECONDS_MAX, NAMES_SHOWN_MAX
from seatrial.engine.submission import Submission
from seatrial.engine.trial.court import Court
from seatrial.engine.trial.prove import check_latency, named, tasks_of
from seatrial.engine.trial.proved_answer import proved_answer
from seatrial.engine.trial.reason import failure_of, failure_reason, unproven
from seatrial.engine.trial.runs import handler_seconds
from seatrial.engine.trial.samples import OutsideSamples, SampleRequests
from seatrial.ports.storage import StoreUnavailable

CANARY = "canary"  # the stage that reasons name, and the door and owner of its jobs
# What ends a job without its handler having been asked, or having had the time to answer.
_NOT_THE_HANDLERS = frozenset(
    {
        errors.QUEUE_TTL_EXPIRED,
        errors.DEADLINE_EXCEEDED,
        errors.CANCELLED,
        errors.ENDPOINT_DELETED,
        errors.PUBLISH_FAILED,
        errors.STORE_UNAVAILABLE,
    }
)


@dataclass(frozen=True, slots=True)
class Sampled:
    """What came of a canary, in words, and each of its runs."""

    state: CanaryState
    message: str
    runs: tuple[Mapping[str, Any], ...] = ()


class _NotRun(Exception):
    """It could not be run, which tells nothing of the version."""


class Sampler:
    """Runs samples of versions in service; their jobs are no client's, and have the lowest priority."""

    def __init__(self, court: Court) -> None:
        self._court = court

    async def run(self, version: EndpointVersion, turn: int | None) -> Sampled:
        """One sample, the next at each turn; or, with None, the quickest sample of every task.

        The first that fails ends it. Whatever happens is told by what this returns.
        """
        runs: list[Mapping[str, Any]] = []
        outside = OutsideSamples(self._court.objects)
        try:
            contract = await self._contract(version, outside)
            chosen = _chosen(contract, version, turn)
            if not chosen:
                return Sampled(CanaryState.SKIPPED, "The version has no sample.")
            for task, sample in chosen:
                await self._one(version, contract, task, sample, runs)
        except _NotRun as reason:
            return Sampled(CanaryState.SKIPPED, str(reason), tuple(runs))
        except (Busy, Conflict, NotFound) as error:
            return Sampled(CanaryState.SKIPPED, error.message, tuple(runs))
        except StoreUnavailable as error:
            return Sampled(CanaryState.SKIPPED, f"The store is away: {error}", tuple(runs))
        except SeatrialError as error:
            return Sampled(CanaryState.FAILED, _reason(error), tuple(runs))
        finally:
            outside.close()
        passed = "1 run passed" if len(runs) == 1 else f"{len(runs)} runs passed"
        return Sampled(CanaryState.PASSED, passed, tuple(runs))

    async def _contract(self, version: EndpointVersion, outside: OutsideSamples) -> Contract:
        manifest = self._court.outfitter.manifest(version)
        if version.settings.samples_uri:
            manifest = await outside.added(manifest, version.settings.samples_uri)
        return manifest.contract

    async def _one(
        self, version: EndpointVersion, contract: Contract, task: Task, sample: Sample, runs: list[Mapping[str, Any]]
    ) -> None:
        where = named(task, sample)
        requests = SampleRequests(
            self._court.objects, version, self._court.packages.path(version.package), self._court.url_of
        )
        submission = await requests.submission(contract, task, sample)
        job = await self._ended(_unhurried(submission))
        said = {"task": task.name, "sample": sample.name, "job_id": job.id, "state": job.state.value}
        runs.append(said | {"seconds": handler_seconds(job)})
        if job.state is not JobState.SUCCEEDED:
            failure = failure_of(job)
            if failure.error_type in _NOT_THE_HANDLERS:
                raise _NotRun(f"{where} was not run: {failure.message}")
            raise unproven(CANARY, f"{where} failed", failure)
        await requests.expect(job, sample, where)
        check_latency(task, where, handler_seconds(job), job)
        await self._check_likeness(version, task, sample, job)
        for part in job.parts:
            await self._court.objects.delete(part.object)

    async def _check_likeness(self, version: EndpointVersion, task: Task, sample: Sample, job: Job) -> None:
        """Raises Unproven: what was the same each time in the trial is another answer now."""
        proved = await proved_answer(self._court.reports, version, task, sample)
        changes = await proved.differing(self._court.objects, task, job) if proved is not None else {}
        if not changes:
            return
        first = list(changes.items())[:NAMES_SHOWN_MAX]
        told = ", ".join(f"{path!r} ({change})" if path else f"its whole answer ({change})" for path, change in first)
        message = f"{named(task, sample)} answered otherwise than in its trial: {told}."
        remedy = (
            "See what has changed since (`seatrial trial NAME`, its job), and deploy it again to prove it as it is."
        )
        if (paths := [path for path, _ in first if path]) and task.name:
            declared = f"`varying = {json.dumps(paths)}` in [tasks.{task.name}.output]"
            remedy += f" If it may differ from run to run, write {declared}."
        raise Unproven(CANARY, message, details={"remedy": remedy, "differing": list(changes), "job_id": job.id})

    async def _ended(self, submission: Submission) -> Job:
        accepted = await self._court.submitter.submit(submission)
        job = await self._court.inspector.wait(accepted.job_id, LONG_POLL_SECONDS_MAX)
        while not job.ended:
            job = await self._court.inspector.wait(accepted.job_id, LONG_POLL_SECONDS_MAX)
        return job


def _unhurried(submission: Submission) -> Submission:
    return replace(
        submission,
        owner=CANARY,
        door=CANARY,
        priority=CANARY_PRIORITY,
        queue_ttl_seconds=CANARY_QUEUE_SECONDS_MAX,
    )


def _chosen(contract: Contract, version: EndpointVersion, turn: int | None) -> Sequence[tuple[Task, Sample]]:
    tasks = [task for task in tasks_of(contract) if task.samples]
    if turn is None:
        took = _durations(version)
        return [(task, min(task.samples, key=lambda one: took.get((task.name, one.name), 0))) for task in tasks]
    every = [(task, sample) for task in tasks for sample in task.samples]
    return [every[turn % len(every)]] if every else []


def _durations(version: EndpointVersion) -> dict[tuple[str, str], int]:
    """How long each sample took in the trial, in milliseconds."""
    proved = [one.details.get("samples", ()) for one in version.stages if one.stage is TrialStage.PROVE]
    return {(run["task"], run["sample"]): run["duration_ms"] for runs in proved for run in runs if "as" not in run}


def _reason(error: SeatrialError) -> str:
    return failure_reason(Unproven(CANARY, error.message, details=error.details))
