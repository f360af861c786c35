"""The proof of a version: inspect, environment, weights, load, prove.

Every task's samples run through the real queue, storage and publication, as jobs that only this version may
take. The first stage that fails ends the trial.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from seatrial.domain import errors
from seatrial.domain.contract import Contract, Sample, Task
from seatrial.domain.endpoint import EndpointVersion, StageReport, StageState, TrialStage
from seatrial.domain.errors import SeatrialError, Unproven
from seatrial.domain.failures import Failure
from seatrial.domain.jobs import JobState
from seatrial.domain.limits import LOAD_ATTEMPTS_MAX, LONG_POLL_SECONDS_MAX
from seatrial.domain.work import Loaded, LoadFailed
from seatrial.engine.crew import Crew
from seatrial.engine.directory import Directory
from seatrial.engine.inspect import Inspector
from seatrial.engine.outfit import Outfit, Outfitter
from seatrial.engine.samples import OutsideSamples, SampleRequests
from seatrial.engine.submit import Submitter
from seatrial.package.checks import samples as samples_check
from seatrial.package.finding import Finding
from seatrial.package.inspect import inspect as inspect_package
from seatrial.package.layout import SERVED
from seatrial.package.manifest import Manifest, contract_to_json
from seatrial.ports.clock import Clock
from seatrial.ports.object_store import NoSuchBucket, ObjectStore
from seatrial.ports.packages import PackageStore

T = TypeVar("T")
REMEDIES = {  # for failures that bring none of their own
    errors.OUTPUT_CONTRACT: "Mend what the handler returns, or the task's output in the contract.",
    errors.INVOCATION_TIMEOUT: "Raise invocation_timeout_seconds in [worker], or make the sample smaller.",
    errors.WORKER_CRASHED: "Run the handler by hand on the sample; `seatrial logs NAME` has what it printed last.",
}


@dataclass(frozen=True, slots=True)
class Proved:
    """A version that passed, with its first worker running. `unproven`: some task had no sample."""

    version: EndpointVersion
    crew: Crew
    unproven: bool


@dataclass(frozen=True, slots=True)
class Court:
    """What every trial of this server works with."""

    packages: PackageStore
    outfitter: Outfitter
    directory: Directory
    submitter: Submitter
    inspector: Inspector
    objects: ObjectStore
    clock: Clock
    isolation: Callable[[], str | None]
    make_crew: Callable[[EndpointVersion, Outfit], Crew]
    say: Callable[[EndpointVersion, str], None]


class Trial:
    """One run of all stages for one version. `run` returns the proof or raises Unproven."""

    def __init__(self, court: Court, version: EndpointVersion) -> None:
        self._court = court
        self.version = version
        self.crew: Crew | None = None
        self._outside = OutsideSamples(court.objects)

    async def run(self, chosen: frozenset[str]) -> Proved:
        """Run every stage. `chosen` are the settings that the deployment fixed; the rest is the package's to say.

        Raises:
            Unproven: a stage failed; its report is kept with the version.
        """
        try:
            manifest = await self._stage(TrialStage.INSPECT, lambda: self._inspect(chosen))
            python = await self._stage(TrialStage.ENVIRONMENT, lambda: self._environment(manifest))
            weights = await self._stage(TrialStage.WEIGHTS, lambda: self._weights(manifest))
            outfit = Outfit(manifest, self._court.packages.path(self.version.package), python, weights)
            self.crew = crew = self._court.make_crew(self.version, outfit)
            await self._stage(TrialStage.LOAD, lambda: self._load(crew))
            unproven = await self._stage(TrialStage.PROVE, lambda: self._prove(manifest.contract))
        finally:
            self._outside.close()
        return Proved(self.version, crew, unproven)

    # ------------------------------------------------------------------ stages

    async def _inspect(self, chosen: frozenset[str]) -> tuple[Manifest, str, dict[str, Any]]:
        court, version = self._court, self.version
        manifest = own = court.outfitter.manifest(version)
        if version.settings.samples_uri:
            manifest = await self._outside.added(manifest, version.settings.samples_uri)
        if manifest.layout not in SERVED:
            message = f"The layout {manifest.layout!r} can be checked, and is not served."
            remedy = f"Give the package one of the layouts {', '.join(SERVED)}."
            raise Unproven("inspect", message, field="layout", details={"remedy": remedy})
        root = court.packages.path(version.package)
        target = await court.outfitter.target(version, manifest, court.isolation())
        findings = await asyncio.to_thread(inspect_package, manifest, root, target)
        fatal = [one for one in findings if self._is_fatal(one)]
        notes = [f"{one.message} {one.remedy}" for one in findings if one not in fatal]
        if fatal:
            first = fatal[0]
            listed = [{"id": one.id, "message": one.message, "remedy": one.remedy} for one in fatal]
            message = "; ".join(one.message for one in fatal)
            raise Unproven("inspect", message, details={"findings": listed, "remedy": first.remedy})
        said: dict[str, Any] = {name: value for name, value in own.settings.items() if name not in chosen}
        settings = replace(version.settings, **said)
        settings = replace(settings, env=dict(manifest.env) | dict(version.settings.env))
        await self._save(replace(version, settings=settings, contract=contract_to_json(own.contract)))
        tasks = ", ".join(task.name for task in manifest.contract.tasks) or "undeclared"
        return manifest, f"{manifest.name or version.package.source}: tasks {tasks}", {"warnings": notes}

    def _is_fatal(self, finding: Finding) -> bool:
        if finding.id == samples_check.ID:
            return not self.version.settings.unproven
        return finding.level == "error"

    async def _environment(self, manifest: Manifest) -> tuple[Path, str, dict[str, Any]]:
        python = await self._court.outfitter.python(self.version, manifest, self._progress(TrialStage.ENVIRONMENT))
        requirements = manifest.requirements
        return python, requirements.name if requirements else "no requirements: the base interpreter", {}

    async def _weights(self, manifest: Manifest) -> tuple[dict[str, Path], str, dict[str, Any]]:
        weights = await self._court.outfitter.weights(self.version, manifest, self._progress(TrialStage.WEIGHTS))
        return weights, f"{len(weights)} kept by content" if weights else "none declared", {}

    async def _load(self, crew: Crew) -> tuple[Loaded, str, dict[str, Any]]:
        for start in range(1, LOAD_ATTEMPTS_MAX + 1):
            try:
                loaded = await crew.start_first()
            except LoadFailed as failed:
                crashed = "exit_code" in failed.failure.details or "signal" in failed.failure.details
                if start == LOAD_ATTEMPTS_MAX or not crashed:
                    raise _unproven("load", "The model did not load", failed.failure) from None
            else:
                mebibytes = loaded.memory_bytes // 2**20
                message = f"loaded in {loaded.seconds:.1f} s, {mebibytes} MiB, device {loaded.device}"
                details = {"seconds": loaded.seconds, "memory_bytes": loaded.memory_bytes, "device": loaded.device}
                return loaded, message, details
        raise AssertionError("the last start returns or raises")

    async def _prove(self, contract: Contract) -> tuple[bool, str, dict[str, Any]]:
        await self._output_buckets()
        requests = SampleRequests(self._court.objects, self.version, self._court.packages.path(self.version.package))
        tasks = contract.tasks if contract.declared else (Task("", samples=contract.loose_samples),)
        bare = [task.name for task in tasks if not task.samples]
        runs: list[dict[str, Any]] = []
        for task in tasks:
            for sample in task.samples:
                self._court.say(self.version, f"trial: proving {task.name or 'the package'} with {sample.name}")
                runs.append(await self._run_sample(requests, contract, task, sample))
        if not runs:
            return True, "unproven: deployed without samples", {}
        passed = "1 sample" if len(runs) == 1 else f"{len(runs)} samples"
        return bool(bare), f"{passed} passed", {"samples": runs}

    # ------------------------------------------------------------------ samples

    async def _output_buckets(self) -> None:
        """The trial's own results go to a bucket of the server's; those of clients must be there too."""
        settings = self.version.settings
        for prefix in (settings.output_prefix, settings.failure_prefix):
            if prefix is None:
                continue
            try:
                await self._court.objects.list(prefix.bucket, limit=1)
            except NoSuchBucket:
                remedy = f"Create it: aws s3 mb s3://{prefix.bucket}"
                message = f"The output bucket {prefix.bucket!r} does not exist."
                raise Unproven("prove", message, details={"remedy": remedy}) from None

    async def _run_sample(
        self, requests: SampleRequests, contract: Contract, task: Task, sample: Sample
    ) -> dict[str, Any]:
        started_ms = self._court.clock.monotonic_ms()
        where = f"Sample {sample.name!r}" + (f" of task {task.name!r}" if task.name else "")
        self._check_crew()
        try:
            submission = await requests.submission(contract, task, sample)
            accepted = await self._court.submitter.submit(submission)
        except SeatrialError as error:
            raise Unproven("prove", f"{where}: {error.message}", details=error.details) from None
        job = await self._court.inspector.wait(accepted.job_id, LONG_POLL_SECONDS_MAX)
        while not job.ended:
            self._check_crew()
            job = await self._court.inspector.wait(accepted.job_id, LONG_POLL_SECONDS_MAX)
        if job.state is not JobState.SUCCEEDED:
            document = dict(job.failure or {})
            failure = Failure(document.get("error_type", ""), document.get("message", ""), document.get("details", {}))
            raise _unproven("prove", f"{where} failed", failure)
        await requests.expect(job, sample, where)
        duration_ms = self._court.clock.monotonic_ms() - started_ms
        return {"task": task.name, "sample": sample.name, "job_id": job.id, "duration_ms": duration_ms}

    def _check_crew(self) -> None:
        """A crew that gave up takes no more samples."""
        if self.crew is not None and self.crew.broken_by is not None:
            raise _unproven("prove", "Workers keep failing", self.crew.broken_by)

    # ------------------------------------------------------------------ reports

    async def _stage(self, stage: TrialStage, work: Callable[[], Awaitable[tuple[T, str, dict[str, Any]]]]) -> T:
        clock = self._court.clock
        report = StageReport(stage, StageState.RUNNING, "", clock.now_ms())
        await self._report(report)
        try:
            value, message, details = await work()
        except SeatrialError as error:
            ended = replace(report, state=StageState.FAILED, message=error.message, details=error.details)
            await self._report(replace(ended, ended_at_ms=clock.now_ms()))
            raise
        passed = replace(report, state=StageState.PASSED, message=message, details=details)
        await self._report(replace(passed, ended_at_ms=clock.now_ms()))
        return value

    async def _report(self, report: StageReport) -> None:
        others = tuple(one for one in self.version.stages if one.stage is not report.stage)
        await self._save(replace(self.version, stages=(*others, report)))
        self._court.say(self.version, f"trial: {report.stage} {report.state} {report.message}".rstrip())

    async def _save(self, version: EndpointVersion) -> None:
        self.version = version
        await self._court.directory.save_version(version)

    def _progress(self, stage: TrialStage) -> Callable[[str, int, int | None], None]:
        """Shows how far a stage is; may be called from any thread."""
        loop = asyncio.get_running_loop()

        def progress(what: str, done: int, total: int | None) -> None:
            loop.call_soon_threadsafe(self._show, stage, what, done, total)

        return progress

    def _show(self, stage: TrialStage, what: str, done: int, total: int | None) -> None:
        message = f"{what} {done:,} of {total:,}" if total else what
        self._court.say(self.version, f"trial: {stage} {message}")
        details = {"what": what, "done": done, "total": total}
        stages = [
            replace(one, message=message, details=details)
            if one.stage is stage and one.state is StageState.RUNNING
            else one
            for one in self.version.stages
        ]
        self.version = replace(self.version, stages=tuple(stages))
        self._court.directory.show(self.version)


def _unproven(stage: str, what: str, failure: Failure) -> Unproven:
    remedy = {"remedy": REMEDIES.get(failure.error_type, "Mend the handler, then deploy again.")}
    details = remedy | dict(failure.details) | {"error": failure.error_type}
    return Unproven(stage, f"{what}: {failure.message}", details=details)


def reason_lines(error: SeatrialError) -> Iterator[str]:
    """The parts of a FailureReason: the stage and what it said, the traceback's last lines, the remedy."""
    yield f"{error.error_type}: {error.message}"
    traceback = error.details.get("traceback")
    if isinstance(traceback, str) and traceback.strip():
        yield "Traceback: " + " | ".join(line.strip() for line in traceback.strip().splitlines()[-4:])
    remedy: Mapping[str, Any] | str | None = error.details.get("remedy")
    if remedy:
        yield f"Remedy: {remedy}"


def failure_reason(error: SeatrialError, chars_max: int = 1024) -> str:
    """One line of at most `chars_max` characters (SageMaker's limit); the remedy is never the part that is cut."""
    *said, last = list(reason_lines(error))
    tail = f" {last}" if said else last
    head = " ".join(said)
    room = chars_max - len(tail)
    return (head if len(head) <= room else head[: max(room - 1, 0)] + "…") + tail[:chars_max]
