"""Deploy, update and delete endpoints: nothing takes ordinary jobs before its trial has passed."""

from __future__ import annotations

import asyncio
import re
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from seatrial.domain import commands as c
from seatrial.domain import errors
from seatrial.domain.access import outside_object, reaches_object
from seatrial.domain.contract import Contract
from seatrial.domain.credentials import Reach
from seatrial.domain.delivery import Delivery
from seatrial.domain.endpoint import (
    Endpoint,
    EndpointStatus,
    EndpointVersion,
    PackageRef,
    StageState,
    TrialStage,
    UpdateWay,
    VersionSettings,
)
from seatrial.domain.errors import BadInput, Busy, Conflict, SeatrialError, Unproven
from seatrial.domain.failures import Failure
from seatrial.domain.history import EndpointEvent
from seatrial.domain.home import Home
from seatrial.domain.limits import STORE_RETRY_MS, WORKERS_PER_ENDPOINT_MAX
from seatrial.domain.objects import ObjectName
from seatrial.engine.bells import Bells
from seatrial.engine.crew import Crew, CrewState
from seatrial.engine.crews import Crews
from seatrial.engine.directory import Directory
from seatrial.engine.outfit import Outfit
from seatrial.engine.outside import Outside
from seatrial.engine.report import Reports
from seatrial.engine.told_contract import told_contract
from seatrial.engine.trial import Court, Proved, Trial, failure_reason
from seatrial.engine.trial.reason import FAILURE_REASON_CHARS_MAX
from seatrial.engine.trigger_acts import REACH, kept_reach
from seatrial.engine.watch import Watch
from seatrial.ports.clock import Clock
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.job_store import JobStore, StoreUnavailable
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject, ObjectStore
from seatrial.ports.packages import PackageStore, Progress

log = structlog.get_logger()

NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
ENDPOINT_EXISTS = "endpoint_exists"
ENDPOINT_BUSY = "endpoint_busy"
NOTHING_FAILED = "nothing_failed"
SERVER_STOPPING = "server_stopping"
NOT_RESTARTED = "The server could not start it again."
FAIL_BATCH = 500


@dataclass(frozen=True, slots=True)
class Deployment:
    """What to deploy under which name. `package` is a directory or `.tar.gz` on the server's disk, or an object.

    `settings` are fields of VersionSettings that override the package's own; `marks` are the door's own words.
    """

    endpoint_name: str
    owner: str
    reach: Reach  # what who asks may touch: no object beyond it is read or written for the endpoint
    package: Path | ObjectName
    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    marks: Mapping[str, Any] = field(default_factory=dict)
    on_disk_temporary: bool = False


class Deployer:
    """Each call returns at once; trials and shutdowns go on in the background and show in the status.

    Whatever changes an endpoint's status does so in its turn (`_turn`), on the endpoint as it is then.
    """

    def __init__(
        self,
        court: Court,
        directory: Directory,
        packages: PackageStore,
        store: JobStore,
        objects: ObjectStore,
        watch: Watch,
        bells: Bells,
        clock: Clock,
        outside: Outside,
        home: Home | None = None,
    ) -> None:
        self._outside = outside
        self._home = home
        self._court = replace(court, make_crew=self._make_crew)
        self._make_plain_crew = court.make_crew
        self._directory = directory
        self._packages = packages
        self._store = store
        self._objects = objects
        self._watch = watch
        self._bells = bells
        self._clock = clock
        self._crews = Crews()
        self._aside: set[str] = set()  # versions in service that left their device to one on trial
        self._turns: dict[str, asyncio.Lock] = {}  # by endpoint name
        self._proofs: dict[str, asyncio.Task[None]] = {}  # by endpoint name
        self._chores: set[asyncio.Task[None]] = set()
        self._closing = False

    @property
    def reports(self) -> Reports:
        """The signed reports of its trials."""
        return self._court.reports

    # ------------------------------------------------------------------ verbs

    async def create(self, deployment: Deployment) -> Endpoint:
        """A new endpoint, Creating; its trial goes on in the background.

        Raises:
            Conflict: the name is taken.
            BadInput: the name or a setting is not valid.
            Forbidden: it names an object beyond the reach of who asks.
            Busy: the server is stopping.
        """
        self._check_open()
        self._check_reach(deployment)
        name = deployment.endpoint_name
        if NAME.fullmatch(name) is None:
            raise BadInput(
                errors.INVALID_FIELD,
                f"{name!r} is not a valid endpoint name.",
                field="name",
                valid="1 to 63 letters, digits and inner hyphens",
            )
        now_ms = self._clock.now_ms()
        version = _version(deployment, str(uuid.uuid4()), 1, now_ms)
        endpoint = Endpoint(
            id=version.endpoint_id,
            name=name,
            owner=deployment.owner,
            status=EndpointStatus.CREATING,
            created_at_ms=now_ms,
            modified_at_ms=now_ms,
            target_version=version.id,
            workers_desired=version.settings.workers,
            marks=deployment.marks,
        )
        async with self._turn(name):
            if self._directory.has(name):
                raise Conflict(
                    ENDPOINT_EXISTS, f"There is an endpoint {name!r} already: update or delete it.", field="name"
                )
            await self._directory.create(endpoint, version)
            reached(CrashPoint.DEPLOY_CREATED)
            self._start_proof(endpoint, version, deployment)
        return endpoint

    async def update(self, deployment: Deployment) -> Endpoint:
        """Prove a new version, then let it take over; RollingBack when it fails.

        It is proved beside the active one, or in its place where the new version's `update` is `replace`.

        Raises:
            NotFound: no such endpoint.
            Conflict: it is being created, updated or deleted.
            BadInput: a setting is not valid.
            Forbidden: it names an object beyond the reach of who asks.
            Busy: the server is stopping.
        """
        self._check_open()
        self._check_reach(deployment)
        name = deployment.endpoint_name
        self._directory.endpoint(name)
        async with self._turn(name):
            endpoint = self._directory.endpoint(name)
            self._check_idle(endpoint)
            number = len(self._directory.versions(endpoint.id)) + 1
            version = _version(deployment, endpoint.id, number, self._clock.now_ms())
            await self._directory.add_version(version)
            status = EndpointStatus.UPDATING if endpoint.active_version else EndpointStatus.CREATING
            marks = dict(endpoint.marks) | dict(deployment.marks)
            changes: dict[str, Any] = {"status": status, "target_version": version.id, "failure_reason": None}
            updated = await self._save(endpoint, marks=marks, **changes)
            self._start_proof(updated, version, deployment)
        return updated

    def _check_reach(self, deployment: Deployment) -> None:
        """What is read and written for the endpoint is in the reach of who deploys it. Raises Forbidden."""
        said = deployment.settings
        named = [deployment.package, *(said.get(one) for one in ("output_prefix", "failure_prefix"))]
        if said.get("samples_uri"):
            bucket, _, key = said["samples_uri"].removeprefix("s3://").partition("/")
            named.append(ObjectName(bucket, key))
        for name in named:
            if isinstance(name, ObjectName) and not reaches_object(deployment.reach, name, self._home):
                raise outside_object(deployment.reach, name)

    async def rerun(self, endpoint_name: str, since: TrialStage | None = None) -> Endpoint:
        """Run the trial of the newest version again, which failed; it takes over once it passes.

        `since`: what earlier stages that ask the model have shown is taken over where it still holds; the stages up
        to load run anyway, as a model has to be loaded. None: since the stage that failed.

        Raises:
            NotFound: no such endpoint.
            Conflict: it is being created, updated or deleted, or its newest version is in service.
            Busy: the server is stopping.
        """
        self._check_open()
        self._directory.endpoint(endpoint_name)
        async with self._turn(endpoint_name):
            endpoint = self._directory.endpoint(endpoint_name)
            self._check_idle(endpoint)
            version = self._directory.versions(endpoint.id)[-1]
            if version.id == endpoint.active_version:
                raise Conflict(
                    NOTHING_FAILED,
                    f"Version {version.number} of {endpoint_name!r} is in service: no trial of it failed.",
                )
            failed = [one.stage for one in version.stages if one.state is StageState.FAILED]
            since = since or (failed[-1] if failed else TrialStage.INSPECT)
            status = EndpointStatus.UPDATING if endpoint.active_version else EndpointStatus.CREATING
            changes: dict[str, Any] = {"target_version": version.id, "failure_reason": None}
            await self._directory.save_version(replace(version, stages=()))  # the trial knows the earlier ones
            updated = await self._save(endpoint, status=status, **changes)
            self._start_proof(updated, version, None, since)
        return updated

    def _check_idle(self, endpoint: Endpoint) -> None:
        idle = endpoint.status in (EndpointStatus.IN_SERVICE, EndpointStatus.FAILED)
        if not idle or endpoint.target_version is not None:
            message = f"Endpoint {endpoint.name!r} is {endpoint.status}: wait until that has ended."
            raise Conflict(ENDPOINT_BUSY, message)

    async def prove_again(self, endpoint_name: str) -> Endpoint:
        """The trial once more of the version that was in service last; it serves again when that passes.

        Raises:
            NotFound: no such endpoint.
            Conflict: it has not left service.
            Busy: the server is stopping.
        """
        self._check_open()
        self._directory.endpoint(endpoint_name)
        async with self._turn(endpoint_name):
            endpoint = self._directory.endpoint(endpoint_name)
            last = endpoint.last_version
            if endpoint.status is not EndpointStatus.FAILED or endpoint.target_version is not None or last is None:
                message = f"Endpoint {endpoint_name!r} is {endpoint.status}, and has not left service."
                raise Conflict(ENDPOINT_BUSY, message)
            version = self._directory.version(last).version
            await self._crews.retire(last, 0)  # what it still ends goes back to the queue
            await self._directory.save_version(replace(version, stages=()))
            changes: dict[str, Any] = {"target_version": last, "failure_reason": None}
            updated = await self._save(endpoint, status=EndpointStatus.CREATING, **changes)
            self._start_proof(updated, version, None)
        return updated

    async def take_out(
        self, version: EndpointVersion, reason: str, event: EndpointEvent, deliveries: Sequence[Delivery]
    ) -> None:
        """The endpoint leaves service with the reason, unless another version serves by now: it takes no more jobs,
        and what runs may end. What led to it, and what is told of that, are kept in the same transaction."""
        async with self._turn(version.endpoint_name):
            endpoint = self._serving(version)
            if endpoint is None or endpoint.status is not EndpointStatus.IN_SERVICE:
                return
            out: dict[str, Any] = {"active_version": None, "last_version": version.id, "failure_reason": reason}
            await self._save(endpoint, [event], deliveries, status=EndpointStatus.FAILED, **out)
            self._crews.retire_later(version.id)
        self._court.say(version, f"out of service: {reason}")

    async def scale(self, endpoint_name: str, workers: int) -> Endpoint:
        """Run that many workers of the active version here; with none, it is served by outside workers only.

        Raises:
            NotFound, BadInput
        """
        if not 0 <= workers <= WORKERS_PER_ENDPOINT_MAX:
            valid = f"0 (outside workers only) to {WORKERS_PER_ENDPOINT_MAX}"
            raise BadInput(errors.INVALID_FIELD, "That many workers are not possible.", field="workers", valid=valid)
        self._directory.endpoint(endpoint_name)
        async with self._turn(endpoint_name):
            endpoint = await self._save(self._directory.endpoint(endpoint_name), workers_desired=workers)
            crew = self._crews.of(endpoint.active_version)
            if crew is not None:
                crew.scale(workers)
        return endpoint

    async def delete(self, endpoint_name: str) -> None:
        """Deleting: workers end, queued jobs fail as endpoint_deleted, then the endpoint is gone.

        Raises:
            NotFound: no such endpoint.
            Busy: the server is stopping.
        """
        self._check_open()
        self._directory.endpoint(endpoint_name)
        async with self._turn(endpoint_name):
            endpoint = self._directory.endpoint(endpoint_name)
            if endpoint.status is not EndpointStatus.DELETING:
                endpoint = await self._save(endpoint, status=EndpointStatus.DELETING)
                self._background(self._insist(lambda: self._delete(endpoint)))

    # ------------------------------------------------------------------ looks

    async def endpoint(self, endpoint_name: str) -> Endpoint:
        """By name. Raises NotFound."""
        return self._directory.endpoint(endpoint_name)

    async def endpoints(self) -> list[Endpoint]:
        """All, by name."""
        return self._directory.endpoints()

    async def version(self, version_id: str) -> EndpointVersion:
        """By id, with the stages of its trial. Raises NotFound."""
        return self._directory.version(version_id).version

    async def versions(self, endpoint_name: str) -> list[EndpointVersion]:
        """Of one endpoint, oldest first. Raises NotFound."""
        return self._directory.versions(self._directory.endpoint(endpoint_name).id)

    async def contract(self, endpoint_name: str) -> Contract:
        """The contract of the version that serves.

        Raises:
            NotFound: no such endpoint.
            Busy: it is not in service.
        """
        endpoint = self._directory.endpoint(endpoint_name)
        if endpoint.active_version is None:
            message = f"Endpoint {endpoint_name!r} is {endpoint.status}, not InService."
            raise Busy(errors.ENDPOINT_NOT_IN_SERVICE, message, retry_after_seconds=10)
        return self._directory.version(endpoint.active_version).contract

    async def told_contract(self, endpoint_name: str) -> dict[str, Any]:
        """The contract of the version that serves (else of the newest), with the samples that its package brings.

        Raises:
            NotFound: no such endpoint.
            Busy: its package was not inspected yet, or is not here any more.
        """
        endpoint = self._directory.endpoint(endpoint_name)
        versions = self._directory.versions(endpoint.id)
        chosen = next(
            (one for one in versions if one.id == endpoint.active_version), versions[-1] if versions else None
        )
        if chosen is None or not chosen.contract:
            raise Busy(errors.ENDPOINT_NOT_IN_SERVICE, f"The package of {endpoint_name!r} was not inspected yet.")
        contract, root = self._directory.version(chosen.id).contract, self._packages.path(chosen.package)
        try:
            return await asyncio.to_thread(told_contract, endpoint_name, contract, root)
        except OSError:
            message = f"The package of {endpoint_name!r} is not on this server."
            raise Busy(errors.ENDPOINT_NOT_IN_SERVICE, message) from None

    def heard(self, endpoint_name: str) -> int:
        """How many changes of status or stage there have been: to be asked before a look that `wait` follows.

        Raises:
            NotFound: no such endpoint.
        """
        self._directory.endpoint(endpoint_name)
        return self._bells.heard(endpoint_name)

    async def wait(self, endpoint_name: str, heard: int, timeout_seconds: float) -> Endpoint:
        """The endpoint after its next change since `heard`, or as it is when the time has passed.

        Raises:
            NotFound: no such endpoint, or it is gone by then.
        """
        self._directory.endpoint(endpoint_name)
        await self._bells.wait(endpoint_name, heard, timeout_seconds)
        return self._directory.endpoint(endpoint_name)

    def packages_in_use(self) -> set[str]:
        """Hashes of the packages that serve, are on trial, or have workers left."""
        used: set[str] = set()
        for endpoint in self._directory.endpoints():
            for version in self._directory.versions(endpoint.id):
                named = version.id in (endpoint.active_version, endpoint.target_version, endpoint.last_version)
                if named or self._crews.of(version.id) is not None:
                    used.add(version.package.sha256)
        return used

    def version_ids(self) -> set[str]:
        """Of every version that there is."""
        return {one.id for endpoint in self._directory.endpoints() for one in self._directory.versions(endpoint.id)}

    def workers(self, endpoint_name: str) -> int:
        """Workers of the active version that are ready now. Raises NotFound."""
        crew = self._crews.of(self._directory.endpoint(endpoint_name).active_version)
        return crew.ready if crew else 0

    def worker_memory_bytes(self, endpoint_name: str) -> int | None:
        """What a worker of the active version may take: its limit, else the most that one has held here.

        Raises:
            NotFound: no such endpoint.
        """
        active = self._directory.endpoint(endpoint_name).active_version
        crew = self._crews.of(active)
        if active is None or crew is None:
            return None
        limit = self._directory.version(active).version.settings.memory_bytes_max
        return limit or max((max(readings).memory_bytes for readings in crew.memory()), default=None)

    def busy_workers(self, endpoint_name: str) -> int:
        """Workers of the active version that hold work. Raises NotFound."""
        crew = self._crews.of(self._directory.endpoint(endpoint_name).active_version)
        return crew.busy if crew else 0

    def crew_state(self, version_id: str | None) -> CrewState | None:
        """How the workers of a version are; None: it has no crew here."""
        crew = self._crews.of(version_id)
        return crew.state if crew else None

    async def end_session(self, session: str) -> None:
        """End the worker that holds a session: what it held goes back to the queue, or ends if its time is over."""
        if not await self._outside.end_session(session):
            await self._crews.end_session(session)

    async def stop_work(self, session: str, token: str) -> None:
        """End the work of a claim whose cancel was wished; returns once it is over."""
        if not await self._outside.cancel(session, token):
            await self._crews.cancel(session, token)

    # ------------------------------------------------------------------ server start and stop

    async def resume(self) -> None:
        """After a restart: active versions start again, unfinished trials begin anew, deletions go on."""
        for endpoint in self._directory.endpoints():
            if endpoint.status is EndpointStatus.DELETING:
                self._background(self._insist(partial(self._delete, endpoint)))
                continue
            self._resume_active(endpoint)
            if endpoint.target_version is not None and endpoint.name not in self._proofs:
                self._start_proof(endpoint, self._directory.version(endpoint.target_version).version, None)
            self._background(self._insist(partial(self._court.triggers.follow, endpoint.name)))
        self._background(self._court.reports.look_at_all())

    async def close(self, grace_seconds: float) -> None:
        """Stop trials and workers: what runs may end within the grace, the rest goes back to the queue."""
        self._closing = True
        tasks = [*self._proofs.values(), *self._chores]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._crews.retire_all(grace_seconds)

    async def hurry(self) -> None:
        """End what `close` still waits for: its work goes back to the queue."""
        await self._crews.stop_all()

    async def broken(self, version: EndpointVersion, failure: Failure) -> None:
        """A crew's workers keep dying: the endpoint leaves service with the reason; its queue waits for an update."""
        self._give_up(version, failure, "Workers keep failing.")

    # ------------------------------------------------------------------ inside

    def _resume_active(self, endpoint: Endpoint) -> None:
        if endpoint.active_version is None:
            return
        version = self._directory.version(endpoint.active_version).version
        if endpoint.target_version is not None and _had_room(self._directory.version(endpoint.target_version).version):
            self._aside.add(version.id)
        elif endpoint.status is EndpointStatus.ROLLING_BACK:
            self._background(self._insist(lambda: self._roll_back(version)))
        else:
            self._background(self._restart(version))

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    def _check_open(self) -> None:
        if self._closing:
            raise Busy(SERVER_STOPPING, "The server is stopping: ask again once it is back.")

    def _make_crew(self, version: EndpointVersion, outfit: Outfit) -> Crew:
        crew = self._make_plain_crew(version, outfit)
        self._crews.keep(version.id, crew)
        return crew

    def _start_proof(
        self,
        endpoint: Endpoint,
        version: EndpointVersion,
        deployment: Deployment | None,
        since: TrialStage = TrialStage.INSPECT,
    ) -> None:
        proof = asyncio.create_task(self._prove(endpoint.name, version, deployment, since))
        self._proofs[endpoint.name] = proof
        proof.add_done_callback(lambda done: self._proofs.pop(endpoint.name, None))

    async def _prove(
        self, name: str, version: EndpointVersion, deployment: Deployment | None, since: TrialStage
    ) -> None:
        trial: Trial | None = None
        try:
            if deployment is not None:
                version = await self._store_package(version, deployment)
            elif not version.package.sha256:
                raise Unproven("inspect", "The server stopped before the package was stored. Remedy: deploy it again.")
            chosen = deployment.settings if deployment else _chosen(version)
            trial = Trial(self._court, version, self._make_room)
            proved = await trial.run(frozenset(chosen), since)
            reached(CrashPoint.DEPLOY_PROVED)
            await self._insist(lambda: self._take_over(name, proved))
        except SeatrialError as error:
            await self._insist(lambda: self._end_trial(version))
            if trial is not None:
                await trial.failed(error)
            reason = failure_reason(error)
        except asyncio.CancelledError:
            await self._end_trial(version)
            await asyncio.shield(self._court.remains.forget(version))
            raise
        except Exception as error:  # the named edge: a defect of ours must show as Failed, not as Creating for ever
            log.exception("trial.defect", endpoint=name)
            reason = f"The server failed to run the trial: {error}"
        else:
            return
        await self._insist(lambda: self._end_trial(version))
        await self._insist(lambda: self._make_up_report(version.id, reason))
        await self._insist(lambda: self._not_proved(name, version, reason))

    async def _store_package(self, version: EndpointVersion, deployment: Deployment) -> EndpointVersion:
        source = deployment.package
        try:
            if isinstance(source, Path):
                package = await self._packages.add(source, deployment.label)
            else:
                package = await self._fetch_package(source, deployment.label)
        finally:
            if deployment.on_disk_temporary and isinstance(source, Path):
                source.unlink(missing_ok=True)
        reached(CrashPoint.DEPLOY_PACKAGE_STORED)
        stored = replace(version, package=package)
        await self._directory.save_version(stored)
        return stored

    async def _fetch_package(self, name: ObjectName, label: str) -> PackageRef:
        try:
            info = await self._objects.head(name)
            path = await self._objects.local_path(info.ref)
            if path is not None:
                return await self._packages.add(path, label)
            reading = await self._objects.read(info.ref)
        except (NoSuchBucket, NoSuchObject):
            remedy = "Upload the archive, then deploy again."
            raise Unproven("inspect", f"There is no object {name.uri}.", details={"remedy": remedy}) from None
        with tempfile.NamedTemporaryFile(suffix=".tar.gz") as archive:
            async for chunk in reading.chunks:
                archive.write(chunk)
            archive.flush()
            return await self._packages.add(Path(archive.name), label)

    async def _end_trial(self, version: EndpointVersion) -> None:
        """A trial is over without success: its workers end and its jobs fail."""
        await asyncio.shield(self._crews.retire(version.id, 0))
        failure = Failure(errors.CANCELLED, "The trial of this version ended.")
        await self._fail_queued(version.endpoint_id, failure, version.id)

    async def _make_up_report(self, version_id: str, reason: str) -> None:
        """Of a trial that failed before or beside its stages. What keeps it from being made must not hide why."""
        try:
            await self._court.reports.make_up(self._directory.version(version_id).version, reason)
        except StoreUnavailable:
            raise
        except Exception:  # the named edge
            log.exception("trial.report_not_made", version=version_id)

    async def _not_proved(self, name: str, version: EndpointVersion, reason: str) -> None:
        async with self._turn(name):
            endpoint = self._directory.endpoint(name)
            if endpoint.status is EndpointStatus.DELETING:
                return
            changes: dict[str, Any] = {"target_version": None, "failure_reason": reason}
            if endpoint.active_version is None:
                await self._save(endpoint, status=EndpointStatus.FAILED, **changes)
            else:
                changes["failure_reason"] = f"Rolled back. {reason}"
                await self._save(endpoint, status=EndpointStatus.ROLLING_BACK, **changes)
        self._court.say(version, f"trial: failed: {reason}")
        if endpoint.active_version is not None:
            await self._roll_back(self._directory.version(endpoint.active_version).version)

    async def _make_room(self, version: EndpointVersion, progress: Progress) -> None:
        """`replace`: the version in service takes no more, ends what it runs, and its workers leave the device."""
        if version.settings.update is not UpdateWay.REPLACE:
            return
        async with self._turn(version.endpoint_name):
            active = self._directory.endpoint(version.endpoint_name).active_version
            if active is None:
                return
            self._aside.add(active)
        old = self._directory.version(active).version
        progress(f"version {old.number} ends what it runs, and leaves", 0, None)
        await self._crews.retire(active, None)
        self._court.say(version, f"version {old.number} has left; jobs wait until this one is proved")

    async def _roll_back(self, version: EndpointVersion) -> None:
        """RollingBack, until the version in service serves again: at once, unless it had left or is not loaded yet."""
        self._aside.discard(version.id)
        if self._crews.of(version.id) is None:
            await self._restart(version)
        crew = self._crews.of(version.id)
        if crew is None or not await crew.loaded():
            return  # it leaves service, with its reason
        async with self._turn(version.endpoint_name):
            endpoint = self._serving(version)
            if endpoint is not None and endpoint.status is EndpointStatus.ROLLING_BACK:
                await self._save(endpoint, status=EndpointStatus.IN_SERVICE)

    async def _take_over(self, name: str, proved: Proved) -> None:
        version, workers = proved.version, proved.version.settings.workers
        async with self._turn(name):
            endpoint = self._directory.endpoint(name)
            if endpoint.status is EndpointStatus.DELETING:
                raise Conflict(ENDPOINT_BUSY, f"Endpoint {name!r} is {endpoint.status}.")
            if proved.crew.broken_by is not None:
                raise Unproven("prove", f"Workers keep failing. {proved.crew.broken_by.message}")
            await self._save(
                endpoint,
                status=EndpointStatus.IN_SERVICE,
                active_version=version.id,
                target_version=None,
                last_version=None,
                failure_reason=None,
                unproven=proved.unproven,
                workers_desired=workers,
            )
            reached(CrashPoint.DEPLOY_IN_SERVICE)
            if endpoint.active_version is not None:
                self._aside.discard(endpoint.active_version)
                self._crews.retire_later(endpoint.active_version)
        proved.crew.scale(workers)
        self._bells.ring(endpoint.id)
        self._background(self._insist(partial(self._court.triggers.follow, name)))
        self._court.say(version, f"in service: version {version.number}" + (" (unproven)" if proved.unproven else ""))

    async def _restart(self, version: EndpointVersion) -> None:
        def progress(what: str, done: int, total: int | None) -> None:
            self._court.say(version, f"restart: {what} {done}" + (f" of {total}" if total else ""))

        try:
            outfit = await self._court.outfitter.complete(version, progress)
        except SeatrialError as error:
            self._give_up(version, Failure(error.error_type, error.message, error.details), NOT_RESTARTED)
            return
        except Exception as error:  # the named edge: InService without workers would hang every job
            log.exception("restart.defect", endpoint=version.endpoint_name)
            self._give_up(version, Failure(errors.INTERNAL_ERROR, str(error)), NOT_RESTARTED)
            return
        async with self._turn(version.endpoint_name):
            endpoint = self._serving(version)
            if endpoint is not None and version.id not in self._aside:
                self._court.make_crew(version, outfit).scale(endpoint.workers_desired)

    def _give_up(self, version: EndpointVersion, failure: Failure, what: str) -> None:
        said = Unproven(failure.error_type, f"{what} {failure.message}", details=failure.details)
        self._background(self._insist(lambda: self._leave_service(version, failure, failure_reason(said))))

    async def _leave_service(self, version: EndpointVersion, failure: Failure, reason: str) -> None:
        await self._crews.retire(version.id, 0)
        await self._fail_queued(version.endpoint_id, failure, version.id)  # a trial waits for these
        async with self._turn(version.endpoint_name):
            endpoint = self._serving(version)
            if endpoint is None:
                return
            if endpoint.status is EndpointStatus.ROLLING_BACK:
                reason = _both(
                    endpoint.failure_reason or "", f"Version {version.number} does not serve again: {reason}"
                )
            out: dict[str, Any] = {"active_version": None, "last_version": version.id, "failure_reason": reason}
            await self._save(endpoint, status=EndpointStatus.FAILED, **out)
        self._court.say(version, f"out of service: {reason}")

    def _serving(self, version: EndpointVersion) -> Endpoint | None:
        """Its endpoint, if this is the version that takes ordinary jobs."""
        if not self._directory.has(version.endpoint_name):
            return None
        endpoint = self._directory.endpoint(version.endpoint_name)
        is_serving = endpoint.active_version == version.id and endpoint.status is not EndpointStatus.DELETING
        return endpoint if is_serving else None

    async def _delete(self, endpoint: Endpoint) -> None:
        proof = self._proofs.get(endpoint.name)
        if proof is not None:
            proof.cancel()
            await asyncio.wait({proof})
        for version in self._directory.versions(endpoint.id):
            await self._crews.retire(version.id, 0)
        await self._outside.dismiss(endpoint.name)
        failure = Failure(errors.ENDPOINT_DELETED, f"Endpoint {endpoint.name!r} was deleted before the job ran.")
        await self._fail_queued(endpoint.id, failure, None)
        reached(CrashPoint.DELETE_QUEUE_FAILED)
        async with self._turn(endpoint.name):
            if self._directory.has(endpoint.name) and self._directory.endpoint(endpoint.name).id == endpoint.id:
                for version in self._directory.versions(endpoint.id):
                    await self._court.reports.forget(version.id)
                await self._court.triggers.follow(endpoint.name)  # while it is known: a restart comes to both again
                await self._directory.remove(endpoint)

    async def _fail_queued(self, endpoint_id: str, failure: Failure, version_id: str | None) -> None:
        while True:
            command = c.FailQueued(endpoint_id, failure, self._clock.now_ms(), version_id, FAIL_BATCH)
            (outcome,) = await self._store.apply([command])
            jobs = outcome.jobs if isinstance(outcome, c.Expired) else ()
            self._watch.changed(jobs)
            if len(jobs) < FAIL_BATCH:
                return

    async def _save(
        self, endpoint: Endpoint, events: Sequence[EndpointEvent] = (), deliveries: Sequence[Delivery] = (), **to: Any
    ) -> Endpoint:
        changed = replace(endpoint, modified_at_ms=self._clock.now_ms(), **to)
        await self._directory.save_endpoint(changed, events, deliveries)
        return changed

    async def _insist(self, step: Callable[[], Awaitable[None]]) -> None:
        """A step that can be repeated is not given up because the store is away."""
        while True:
            try:
                return await step()
            except StoreUnavailable as error:
                log.warning("deploy.store_unavailable", error=str(error))
                await self._clock.sleep_ms(STORE_RETRY_MS)

    def _background(self, chore: Coroutine[Any, Any, None]) -> None:
        if self._closing:
            chore.close()  # the next start comes to it again
            return
        task = asyncio.create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._done)

    def _done(self, chore: asyncio.Task[None]) -> None:
        self._chores.discard(chore)
        if not chore.cancelled() and chore.exception() is not None:
            log.error("deploy.defect", exc_info=chore.exception())


def _had_room(version: EndpointVersion) -> bool:
    """Whether the version before it may have left already: the trial had come to where that happens."""
    return version.settings.update is UpdateWay.REPLACE and any(one.stage is TrialStage.LOAD for one in version.stages)


def _both(first: str, second: str) -> str:
    """Two reasons in the room of one, the first cut if need be."""
    room = FAILURE_REASON_CHARS_MAX - len(second) - 1
    return f"{first if len(first) <= room else first[: max(room - 1, 0)] + '…'} {second}"[:FAILURE_REASON_CHARS_MAX]


def _setting_names() -> frozenset[str]:
    return frozenset(one.name for one in fields(VersionSettings)) - {REACH}


def _chosen(version: EndpointVersion) -> frozenset[str]:
    """The settings that the package has no say in, of a version whose trial begins anew."""
    inspected = any(one.stage is TrialStage.INSPECT and one.state is StageState.PASSED for one in version.stages)
    if inspected:
        return _setting_names()
    unsaid = VersionSettings()
    return frozenset(name for name in _setting_names() if getattr(version.settings, name) != getattr(unsaid, name))


def _version(deployment: Deployment, endpoint_id: str, number: int, now_ms: int) -> EndpointVersion:
    unknown = sorted(set(deployment.settings) - _setting_names())
    if unknown:
        valid = ", ".join(sorted(_setting_names()))
        raise BadInput(errors.UNKNOWN_FIELD, f"There is no setting {unknown[0]!r}.", field=unknown[0], valid=valid)
    settings = VersionSettings(**deployment.settings, reach=kept_reach(deployment.reach).get(REACH))
    if not 0 <= settings.workers <= WORKERS_PER_ENDPOINT_MAX:
        valid = f"0 (outside workers only) to {WORKERS_PER_ENDPOINT_MAX}"
        raise BadInput(errors.INVALID_FIELD, "That many workers are not possible.", field="workers", valid=valid)
    return EndpointVersion(
        id=str(uuid.uuid4()),
        endpoint_id=endpoint_id,
        endpoint_name=deployment.endpoint_name,
        number=number,
        package=PackageRef("", deployment.label),
        settings=settings,
        created_at_ms=now_ms,
    )
