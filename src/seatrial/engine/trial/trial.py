"""The proof of a version: inspect, environment, weights, load, prove, refuse, drill, report.

Every request of a trial runs through the real queue, storage and publication, as a job that only this version may
take. The first stage that fails ends the trial.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import structlog

from seatrial.domain.contract import Contract
from seatrial.domain.endpoint import EndpointVersion, StageReport, StageState, TrialStage
from seatrial.domain.errors import SeatrialError, Unproven
from seatrial.domain.limits import DRILL_LOAD_SECONDS, DRILL_LOAD_STRETCH
from seatrial.domain.work import ContainerImage, Loaded
from seatrial.engine.crew import Crew
from seatrial.engine.outfit import Outfit
from seatrial.engine.report import Evidence, signed_by
from seatrial.engine.trial.callbacks import Callbacks
from seatrial.engine.trial.court import Court, Proved
from seatrial.engine.trial.drill import Drilling
from seatrial.engine.trial.earlier import Earlier
from seatrial.engine.trial.estimate import Estimate
from seatrial.engine.trial.evidence import inside_samples, shown
from seatrial.engine.trial.load import check_used, load
from seatrial.engine.trial.prove import Proof, Proving, tasks_of
from seatrial.engine.trial.reason import failure_reason
from seatrial.engine.trial.refuse import Refusing
from seatrial.engine.trial.runs import Runs
from seatrial.engine.trial.samples import OutsideSamples, SampleRequests
from seatrial.package.checks import samples as samples_check
from seatrial.package.checks import validators as validators_check
from seatrial.package.finding import Finding
from seatrial.package.inspect import inspect as inspect_package
from seatrial.package.manifest import Manifest, contract_to_json
from seatrial.ports.packages import Progress

log = structlog.get_logger()

T = TypeVar("T")
QUIET = frozenset({TrialStage.REFUSE, TrialStage.DRILL})  # how far they are is shown, and fills no log
Stage = tuple[T, str, dict[str, Any]]  # what it brings, its words, its details
MakeRoom = Callable[[EndpointVersion, Progress], Awaitable[None]]


async def _there_is_room(version: EndpointVersion, progress: Progress) -> None:
    """Nothing has to leave before the version loads."""


class Trial:
    """One run of all stages for one version. `run` returns the proof or raises Unproven.

    `make_room` is awaited before the model loads: whatever it has to have for itself is free when that returns.
    """

    def __init__(self, court: Court, version: EndpointVersion, make_room: MakeRoom = _there_is_room) -> None:
        self._court = court
        self._make_room = make_room
        self.version = version
        self.crew: Crew | None = None
        self._outfit: Outfit | None = None
        self._image: ContainerImage | None = None
        self._outside = OutsideSamples(court.objects)
        self._evidence = Evidence()
        self._estimate: Estimate | None = None
        self._proofs: list[Proof] = []
        self._began_ms = court.clock.monotonic_ms()

    async def run(self, chosen: frozenset[str], since: TrialStage = TrialStage.INSPECT) -> Proved:
        """Run every stage. `chosen` are the settings that the deployment fixed; the rest is the package's to say.

        What an earlier trial of the version has shown in stages before `since` is taken over where it still holds.

        Raises:
            Unproven: a stage failed; its report is kept with the version.
        """
        earlier = Earlier(self._court, self.version, since)
        await self._court.remains.begin(self.version)
        await self._save(replace(self.version, stages=()))
        try:
            manifest = await self._stage(TrialStage.INSPECT, lambda: self._inspect(chosen))
            python = await self._stage(TrialStage.ENVIRONMENT, lambda: self._environment(manifest))
            weights = await self._stage(TrialStage.WEIGHTS, lambda: self._weights(manifest))
            root = self._court.packages.path(self.version.package)
            outfit = self._outfit = Outfit(manifest, root, python, weights, self._image)
            self.crew = crew = self._court.make_crew(self.version, outfit)
            loaded = await self._stage(TrialStage.LOAD, lambda: self._load(crew))
            await earlier.hold_against(python)
            proofs = await self._proved(manifest.contract, crew, loaded, earlier)
            if not await self._is_taken_over(TrialStage.REFUSE, earlier):
                await self._stage(TrialStage.REFUSE, lambda: self._refuse(manifest.contract, crew))
            await self._drill(crew, loaded, proofs)
            self._evidence.unproven = any(not task.samples for task in tasks_of(manifest.contract))
            await self._stage(TrialStage.REPORT, self._signed)
        except SeatrialError:
            raise  # `failed` comes to it
        except BaseException:
            self._outside.close()
            raise
        self._outside.close()
        await self._court.remains.forget(self.version)
        return Proved(self.version, crew, self._evidence.unproven)

    async def failed(self, error: SeatrialError) -> None:
        """To be called when `run` raised it, once the workers are gone: what they left is kept, and a report made.

        The stage that failed, and `error`, say how to go on.
        """
        try:
            error.extra.update(await self._keep_remains(error))
            await self._make_failed_report(error)
        finally:
            self._outside.close()

    async def _keep_remains(self, error: SeatrialError) -> dict[str, Any]:
        spec = None
        if self._outfit is not None:
            with contextlib.suppress(Unproven):  # a secret is missing: then no worker has started either
                spec = self._court.outfitter.spec(self.version, self._outfit)
        said = await self._court.remains.keep(self.version, error, spec)
        stages = tuple(
            replace(one, details=dict(one.details) | said) if one.state is StageState.FAILED else one
            for one in self.version.stages
        )
        await self._save(replace(self.version, stages=stages))
        return said

    async def _proved(self, contract: Contract, crew: Crew, loaded: Loaded, earlier: Earlier) -> list[Proof]:
        proofs = await earlier.proofs(contract, self._requests())
        if proofs is not None and await self._is_taken_over(TrialStage.PROVE, earlier):
            self._proofs = proofs
            return proofs
        return await self._stage(TrialStage.PROVE, lambda: self._prove(contract, crew, loaded))

    async def _is_taken_over(self, stage: TrialStage, earlier: Earlier) -> bool:
        report = earlier.report(stage)
        if report is not None:
            await self._report(report)
        return report is not None

    # ------------------------------------------------------------------ stages

    async def _inspect(self, chosen: frozenset[str]) -> Stage[Manifest]:
        court, version = self._court, self.version
        manifest = own = court.outfitter.manifest(version)
        if version.settings.samples_uri:
            manifest = await self._outside.added(manifest, version.settings.samples_uri)
        if "device" in chosen:
            manifest = replace(manifest, worker={**manifest.worker, "device": version.settings.device})
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
        await self._note_samples(own.contract, root)
        said: dict[str, Any] = {name: value for name, value in own.settings.items() if name not in chosen}
        settings = replace(version.settings, **said)
        settings = replace(settings, env=dict(manifest.env) | dict(version.settings.env))
        await self._save(replace(version, settings=settings, contract=contract_to_json(own.contract)))
        await court.triggers.check_package(self.version)
        tasks = ", ".join(task.name for task in manifest.contract.tasks) or "undeclared"
        return manifest, f"{manifest.name or version.package.source}: tasks {tasks}", {"warnings": notes}

    def _is_fatal(self, finding: Finding) -> bool:
        if finding.id == samples_check.ID:
            return not self.version.settings.unproven
        return finding.level == "error" or finding.id == validators_check.ID

    async def _environment(self, manifest: Manifest) -> Stage[Path]:
        python = await self._court.outfitter.python(self.version, manifest, self._progress(TrialStage.ENVIRONMENT))
        self._evidence.python = python
        progress = self._progress(TrialStage.ENVIRONMENT)
        self._image = await self._court.outfitter.image(self.version, manifest, progress)
        if self._image is not None:
            return python, f"image {self._image.id}", {"image": self._image.id}
        told = [manifest.requirements.name] if manifest.requirements else []
        told += manifest.packages
        return python, ", ".join(told) or "no requirements: the base interpreter", {}

    async def _weights(self, manifest: Manifest) -> Stage[dict[str, Path]]:
        weights = await self._court.outfitter.weights(self.version, manifest, self._progress(TrialStage.WEIGHTS))
        return weights, f"{len(weights)} kept by content" if weights else "none declared", {}

    async def _load(self, crew: Crew) -> Stage[Loaded]:
        await self._make_room(self.version, self._progress(TrialStage.LOAD))
        loaded, message, details = await load(crew, self.version.settings)
        self._evidence.device = loaded.device
        return loaded, message, details

    async def _prove(self, contract: Contract, crew: Crew, loaded: Loaded) -> Stage[list[Proof]]:
        runs = Runs(self._court, crew, "prove")
        progress = self._progress(TrialStage.PROVE)
        settings = self.version.settings
        bounds = Estimate(0, 0, 0, self._court.drill_seconds, settings.trial_minutes_max)
        requests, left = self._requests(), self._seconds_left
        proving = Proving(self._court, contract, requests, runs, progress, left, bounds, self._tell_estimate)
        self._proofs = proving.proofs
        prefixes = [one for one in (settings.output_prefix, settings.failure_prefix) if one is not None]
        await proving.output_buckets(*(prefix.bucket for prefix in prefixes))
        async with Callbacks(self._court.receivers) as callbacks:
            message, details = await proving.run(callbacks)
        if proving.proofs:
            check_used(loaded, settings.device, proving.device_peak_bytes)
        return proving.proofs, message, details

    def _tell_estimate(self, estimate: Estimate) -> None:
        """Said before the first run, and once that has shown how long one takes; shown with every step."""
        before, self._estimate = self._estimate, estimate
        if before is None or (before.seconds is None) != (estimate.seconds is None):
            self._court.say(self.version, f"trial: prove {estimate.words()}")

    async def _refuse(self, contract: Contract, crew: Crew) -> Stage[None]:
        runs = Runs(self._court, crew, "refuse")
        return await Refusing(contract, self._requests(), runs, crew, self._progress(TrialStage.REFUSE)).run()

    async def _drill(self, crew: Crew, loaded: Loaded, proofs: list[Proof]) -> None:
        """Left out, and said so, where there is nothing to run again or no time for it."""
        once = sum(proof.seconds for proof in proofs)
        seconds = self._court.drill_seconds
        reason = None
        if not proofs:
            reason = "left out: there is no sample"
        elif seconds <= 0:
            reason = "left out: drill_seconds is 0"
        elif self._seconds_left() < 2 * once:
            reason = f"left out: one more run of each sample would take {once:.0f} s"
        if reason is not None:
            return await self._skip(TrialStage.DRILL, reason)
        on_gpu = loaded.device != "cpu" or self.version.settings.device == "cuda"  # if only once it runs
        workers = 1 if on_gpu or not self._room_for_another(loaded) else 2
        drilling = Drilling(
            court=self._court,
            crew=crew,
            runs=Runs(self._court, crew, "drill"),
            proofs=proofs,
            seconds=min(seconds, self._seconds_left()),
            workers=workers,
            patience_seconds=min(self._seconds_left(), DRILL_LOAD_STRETCH * loaded.seconds + DRILL_LOAD_SECONDS),
            progress=self._progress(TrialStage.DRILL),
        )
        await self._stage(TrialStage.DRILL, drilling.run)
        return None

    def _room_for_another(self, loaded: Loaded) -> bool:
        """Whether a second worker of this size fits into half of the memory that is free now."""
        return loaded.memory_bytes < self._court.free_memory_bytes() // 2

    def _requests(self) -> SampleRequests:
        root = self._court.packages.path(self.version.package)
        return SampleRequests(self._court.objects, self.version, root, self._court.url_of)

    def _seconds_left(self) -> float:
        """What is left of the time that the trial may take, once the model is loaded."""
        bound = self.version.settings.trial_minutes_max
        if bound is None:
            return float("inf")
        return bound * 60 - (self._court.clock.monotonic_ms() - self._began_ms) / 1000

    # ------------------------------------------------------------------ the signed report

    async def _note_samples(self, contract: Contract, root: Path) -> None:
        inside = await asyncio.to_thread(inside_samples, contract, root)
        uri = self.version.settings.samples_uri
        outside = {"outside": await self._court.reports.surroundings.outside(uri)} if uri else {}
        self._evidence.samples = {"inside": inside} | outside

    async def _signed(self) -> Stage[None]:
        document = await self._make_report(None)
        by = signed_by(self._court.reports.public_pem)
        hashes = {name: one["sha256"] for name, one in document["bound_to"].items()}
        return None, by, {"bound_to": hashes}

    async def _make_failed_report(self, error: SeatrialError) -> None:
        """The report of a failed trial. Trouble with it must not hide why the trial failed."""
        try:
            await self._make_report(failure_reason(error))
        except Exception:  # the named edge
            log.exception("trial.report_not_made", endpoint=self.version.endpoint_name)

    async def _make_report(self, reason: str | None) -> dict[str, Any]:
        root = self._court.packages.path(self.version.package)
        self._evidence.shown = shown(self._proofs, root)
        return await self._court.reports.make(self.version, self._evidence, reason)

    # ------------------------------------------------------------------ stages as they go

    async def _stage(self, stage: TrialStage, work: Callable[[], Awaitable[Stage[T]]]) -> T:
        clock = self._court.clock
        report = StageReport(stage, StageState.RUNNING, "", clock.now_ms())
        await self._report(report)
        try:
            value, message, details = await work()
        except SeatrialError as error:
            details = error.details | self._log_streams()
            ended = replace(report, state=StageState.FAILED, message=error.message, details=details)
            await self._report(replace(ended, ended_at_ms=clock.now_ms()))
            raise
        details = details | self._log_streams()
        passed = replace(report, state=StageState.PASSED, message=message, details=details)
        await self._report(replace(passed, ended_at_ms=clock.now_ms()))
        return value

    def _log_streams(self) -> dict[str, Any]:
        """Which streams of the endpoint's log are of this trial's workers."""
        return {"log_streams": sorted(self.crew.started)} if self.crew is not None else {}

    async def _skip(self, stage: TrialStage, why: str) -> None:
        now_ms = self._court.clock.now_ms()
        await self._report(StageReport(stage, StageState.SKIPPED, why, now_ms, now_ms))

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
        if stage not in QUIET:
            self._court.say(self.version, f"trial: {stage} {message}")
        details: dict[str, Any] = {"what": what, "done": done, "total": total}
        if stage is TrialStage.PROVE and self._estimate is not None:
            details["estimate"] = self._estimate.told()
            message += f"; {self._estimate.words()}"
        stages = [
            replace(one, message=message, details=details)
            if one.stage is stage and one.state is StageState.RUNNING
            else one
            for one in self.version.stages
        ]
        self.version = replace(self.version, stages=tuple(stages))
        self._court.directory.show(self.version)
