"""Accept a job: durable before the answer, once per idempotency key."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from seatrial.domain import commands as c
from seatrial.domain import errors
from seatrial.domain.access import reach_document
from seatrial.domain.addresses import PRIVATE_NETWORKS, IpNetwork
from seatrial.domain.contract import Contract
from seatrial.domain.credentials import EVERYTHING
from seatrial.domain.delivery import Target, TargetKind, read_webhooks
from seatrial.domain.endpoint import Endpoint, EndpointStatus, EndpointVersion, VersionSettings
from seatrial.domain.errors import BadInput, Busy, Conflict, SeatrialError
from seatrial.domain.home import Home
from seatrial.domain.jobs import Job, JobInput, JobPurpose, JobState, NewJob, OutputPlan
from seatrial.domain.limits import (
    AWAITED_UPLOADS_MAX,
    HAND_OVER_SECONDS_MAX,
    INLINE_PAYLOAD_BYTES_MAX,
    INPUT_OBJECT_BYTES_MAX,
    KEY_BYTES_MAX,
    PRIORITY_MAX,
    RESTART_BACKOFF_SECONDS_MAX,
    ROW_INLINE_BYTES_MAX,
)
from seatrial.domain.media_types import JSON, UNSPECIFIC
from seatrial.domain.objects import ObjectInfo, ObjectName, ObjectRef, Sealed
from seatrial.engine.bells import Bells
from seatrial.engine.bounds import Bounds
from seatrial.engine.directory import Directory
from seatrial.engine.inspect import Inspector
from seatrial.engine.prepare import REACH, Preparer, reach_of
from seatrial.engine.result_names import JOB_ID, with_job_id
from seatrial.engine.submission import StagedBody, Submission
from seatrial.engine.timeouts import job_timeout_seconds
from seatrial.engine.uploading import told_body, upload_name, upload_trigger
from seatrial.engine.watch import Watch
from seatrial.engine.webhooks import Webhooks
from seatrial.ports.clock import Clock
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.job_store import JobStore
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject, ObjectRefused, ObjectStore
from seatrial.ports.storage import StoreUnavailable

INPUTS_BUCKET = "seatrial-inputs"
RESULTS_BUCKET = "seatrial-results"
TRIALS_BUCKET = "seatrial-trials"
_FOR_EVER_MS = 10**15  # of a key that is only looked up
RETRY = "retry"  # the door of retries, as idempotency keys know it


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job is durable. `existing`: an earlier request with the same idempotency key had made it."""

    job_id: str
    output: OutputPlan
    existing: bool = False


@dataclass(frozen=True, slots=True)
class Reach:
    """Where outcomes go. `home` is where the server's own buckets lie in an S3 service: names told to clients are real
    ones there."""

    home: Home | None = None
    receivers: tuple[IpNetwork, ...] = ()
    webhooks: Webhooks | None = None  # of endpoints


class Submitter:
    """Turns submissions into jobs."""

    def __init__(
        self,
        store: JobStore,
        objects: ObjectStore,
        directory: Directory,
        preparer: Preparer,
        inspector: Inspector,
        watch: Watch,
        bells: Bells,
        clock: Clock,
        bounds: Bounds,
        reach: Reach,
    ) -> None:
        self._store = store
        self._objects = objects
        self._directory = directory
        self._preparer = preparer
        self._inspector = inspector
        self._watch = watch
        self._bells = bells
        self._clock = clock
        self._bounds = bounds
        self._home = reach.home
        self._receivers = reach.receivers
        self._webhooks = reach.webhooks
        self._draining = False

    def drain(self) -> None:
        """The server stops: accept no more."""
        self._draining = True

    async def submit(self, submission: Submission) -> Accepted:
        """Accept a job; durable when this returns. A key that made a job before gives that job, whatever changed since.

        Raises:
            NotFound: no such endpoint.
            Busy: the endpoint is not in service yet, or its queue is full.
            Conflict: the endpoint failed or is being deleted, the idempotency key had another request, or the output
                name is taken.
            BadInput: the request itself, or (check_now) its body by the contract.
        """
        endpoint = self._directory.endpoint(submission.endpoint_name)
        asked_by = (submission.owner, endpoint.id, submission.door)
        key = self._key(asked_by, submission.idempotency_key, submission.fingerprint)
        if key is not None and submission.key_until_end:
            key = replace(key, life_ms=0)
        try:
            accepted = await self._accept(endpoint, submission, key)
        except SeatrialError:
            await self._discard(submission)
            earlier = await self._made_before(key)
            if earlier is None:
                raise
            return earlier
        if accepted.existing:
            await self._discard(submission)
        return accepted

    async def retry(self, job_id: str, idempotency_key: str | None = None) -> Accepted:
        """Run an ended job's input again, as a new job on the version that is active now.

        Raises:
            NotFound: no such job or endpoint.
            Conflict: it has not ended yet, or the idempotency key had another request.
        """
        old = await self._inspector.job(job_id)
        if not old.ended:
            raise Conflict(errors.JOB_NOT_ENDED, f"Job {job_id} is {old.state}: only an ended job can be retried.")
        if not old.input.has_come:
            raise Conflict(
                errors.NEVER_UPLOADED,
                f"Job {job_id} never got its input: there is nothing to run again.",
                details={"remedy": "Ask for another upload: POST /v1/uploads."},
            )
        endpoint = self._directory.endpoint(old.endpoint_name)
        asked_by = (old.owner, endpoint.id, RETRY)
        key = self._key(asked_by, idempotency_key, lambda: _retried(job_id))
        submission = _again(old)
        try:
            job_id = str(uuid.uuid4())
            version, _ = self._check(endpoint, submission, job_id)
            job = self._new_job(submission, endpoint, version, old.task, job_id, old.input)
            return await self._commit(replace(job, retry_of=old.id), key, version)
        except SeatrialError:
            earlier = await self._made_before(key)
            if earlier is None:
                raise
            return earlier

    async def retry_in_place(self, job_id: str) -> Accepted:
        """Retry the newest job behind the id, which from then on stands for the new one: see `newest`.

        Raises:
            NotFound, Conflict: as `retry`.
        """
        newest = await self.newest(job_id)
        return await self.retry(newest.id, _in_place(newest.id))

    async def newest(self, job_id: str) -> Job:
        """The job of that id or, where it was retried in place, the last of its retries.

        Raises:
            NotFound: no such job.
        """
        job: Job | None = await self._inspector.job(job_id)
        newest = None
        while job is not None:
            newest, job = job, await self._retried_in_place(job)
        assert newest is not None  # noqa: S101  the first was there
        return newest

    async def named(self, endpoint_name: str, owner: str, door: str, key: str) -> Job | None:
        """The newest job that an idempotency key was given for, as long as that is known.

        Raises:
            NotFound: no such endpoint.
        """
        endpoint = self._directory.endpoint(endpoint_name)
        lookup = c.IdempotencyKey(owner, endpoint.id, door, key, "", _FOR_EVER_MS)
        match await self._store.made_before(lookup, self._clock.now_ms()):
            case c.Submitted(job_id) | c.KeyConflict(job_id):
                return await self._inspector.job(job_id)
            case _:
                return None

    async def _retried_in_place(self, job: Job) -> Job | None:
        """The job that stands for it now; None: itself."""
        if not job.ended or job.state is JobState.SUCCEEDED:  # such a one is not retried
            return None
        asked_by = (job.owner, job.endpoint_id, RETRY)
        later = await self._made_before(self._key(asked_by, _in_place(job.id), lambda: _retried(job.id)))
        return None if later is None else await self._inspector.job(later.job_id)

    def _key(
        self, asked_by: tuple[str, str, str], key: str | None, fingerprint: Callable[[], str]
    ) -> c.IdempotencyKey | None:
        """`asked_by`: owner, endpoint, door."""
        return c.IdempotencyKey(*asked_by, key, fingerprint(), self._bounds.key_life_ms) if key else None

    async def _made_before(self, key: c.IdempotencyKey | None) -> Accepted | None:
        """The job that the key made. Asked only when something stood in the way: a commit asks by itself."""
        outcome = key and await self._store.made_before(key, self._clock.now_ms())
        match outcome:
            case c.Submitted(job=Job() as earlier):
                return Accepted(earlier.id, earlier.output, existing=True)
            case c.KeyConflict(job_id):
                raise _another_request(job_id) from None
            case _:
                return None

    async def _accept(self, endpoint: Endpoint, submission: Submission, key: c.IdempotencyKey | None) -> Accepted:
        job_id = str(uuid.uuid4())
        version, task = self._check(endpoint, submission, job_id)
        await self._check_buckets(version)
        job_input = await self._input(submission, endpoint, job_id)
        job = self._new_job(submission, endpoint, version, task, job_id, job_input)
        try:
            accepted = await self._commit(job, key, version)
        except SeatrialError:
            await self._forget(submission, job_input)
            raise
        if accepted.existing:
            await self._forget(submission, job_input)
        return accepted

    def _check(self, endpoint: Endpoint, submission: Submission, job_id: str) -> tuple[EndpointVersion, str | None]:
        if self._draining:
            raise Busy(errors.SERVER_STOPPING, "The server is stopping and accepts no more jobs.")
        version_id = submission.version_id or endpoint.active_version
        if version_id is None:
            raise _not_in_service(endpoint)
        if not 0 <= submission.priority <= PRIORITY_MAX:
            raise BadInput(errors.INVALID_FIELD, "The priority is out of range.", field="priority", valid="0 to 9")
        deployed = self._directory.version(version_id)
        task = submission.task
        body, media_type = submission.body, submission.media_type or JSON
        if submission.upload is not None and submission.upload.body is not None:
            body, media_type = told_body(submission.upload, job_id), JSON
        if submission.check_now and isinstance(body, bytes):
            checked = self._preparer.check(
                deployed.contract, media_type, body, submission.task, job_id, submission.reach
            )
            task = checked or task
        return deployed.version, task

    async def _check_buckets(self, version: EndpointVersion) -> None:
        """Named output buckets may have been deleted since: better said now than after the work."""
        prefixes = (version.settings.output_prefix, version.settings.failure_prefix)
        for bucket in {prefix.bucket for prefix in prefixes if prefix is not None}:
            try:
                await self._objects.list(bucket, limit=1)
            except NoSuchBucket:
                raise BadInput(
                    errors.OUTPUT_BUCKET_MISSING,
                    f"The output bucket {bucket!r} of endpoint {version.endpoint_name!r} does not exist.",
                    field="output",
                    valid=f"a bucket that is there: aws s3 mb s3://{bucket}",
                ) from None
            except ObjectRefused:
                pass  # it may be written without being listed

    async def _input(self, submission: Submission, endpoint: Endpoint, job_id: str) -> JobInput:
        if submission.upload is not None:
            media_type = submission.upload.media_type or "application/octet-stream"
            return JobInput(media_type, ref=ObjectRef(upload_name(submission.upload, job_id), etag=""))
        if submission.object is not None:
            self._preparer.check_object(submission.object, submission.reach, "input")
            info = await self._stored(submission.object)
            pinned = ObjectRef(info.name, submission.object_etag or info.sealed.etag)
            return JobInput(_media_type(submission, info.media_type), ref=pinned)
        media_type = submission.media_type or JSON
        if isinstance(submission.body, StagedBody):
            return await self._keep(submission.body.sealed, media_type, endpoint, job_id)
        body = submission.body or b""
        if len(body) > INLINE_PAYLOAD_BYTES_MAX:
            raise BadInput(
                errors.PAYLOAD_TOO_LARGE,
                f"The request body has {len(body)} bytes.",
                field="body",
                valid=f"at most {INLINE_PAYLOAD_BYTES_MAX} bytes; put larger inputs into an object and name it",
            )
        if len(body) <= ROW_INLINE_BYTES_MAX:
            return JobInput(media_type, inline=body)
        return await self._keep(await self._objects.stage(body, INLINE_PAYLOAD_BYTES_MAX), media_type, endpoint, job_id)

    async def _keep(self, sealed: Sealed, media_type: str, endpoint: Endpoint, job_id: str) -> JobInput:
        """A body as an object of its job's own."""
        name = ObjectName(INPUTS_BUCKET, f"{endpoint.name}/{job_id}")
        info = await self._objects.reveal(sealed, name, media_type, {})
        reached(CrashPoint.SUBMIT_INPUT_KEPT)
        return JobInput(media_type, ref=info.ref)

    async def _forget(self, submission: Submission, job_input: JobInput) -> None:
        """No job came of it: a body that was kept as an object for it goes again."""
        if submission.object is None and job_input.ref is not None and job_input.has_come:
            await self._objects.delete(job_input.ref.name)

    async def _discard(self, submission: Submission) -> None:
        """The same for a body that may not even have become an object; at worst the next start sweeps it away."""
        if isinstance(submission.body, StagedBody):
            with suppress(StoreUnavailable):
                await self._objects.discard([submission.body.sealed])

    async def _stored(self, name: ObjectName) -> ObjectInfo:
        """The object that is the input: its bytes are pinned as they are now."""
        try:
            info = await self._objects.head(name)
        except (NoSuchBucket, NoSuchObject):
            raise BadInput(
                errors.INPUT_NOT_FOUND,
                f"There is no object {name.uri}.",
                field="input",
                valid="the s3:// URI of an object that is there; upload it first",
            ) from None
        except ObjectRefused as error:
            raise BadInput(
                errors.INPUT_UNREACHABLE,
                f"{name.uri} cannot be read: {error}",
                field="input",
                valid="the s3:// URI of an object that the server's own credentials may read",
            ) from None
        if info.sealed.size_bytes > INPUT_OBJECT_BYTES_MAX:
            raise BadInput(
                errors.PAYLOAD_TOO_LARGE,
                f"{name.uri} has {info.sealed.size_bytes} bytes.",
                field="input",
                valid=f"at most {INPUT_OBJECT_BYTES_MAX} bytes",
            )
        return info

    def _new_job(
        self,
        submission: Submission,
        endpoint: Endpoint,
        version: EndpointVersion,
        task: str | None,
        job_id: str,
        job_input: JobInput,
    ) -> NewJob:
        settings = version.settings
        ttl_seconds = submission.queue_ttl_seconds or settings.queue_ttl_seconds
        contract = self._directory.version(version.id).contract
        timeout_seconds = job_timeout_seconds(version, contract, task, submission.invocation_timeout_seconds)
        now_ms = self._clock.now_ms()
        upload_by_ms = None if submission.upload is None else now_ms + submission.upload.seconds * 1000
        attempt_seconds = timeout_seconds + settings.load_timeout_seconds + RESTART_BACKOFF_SECONDS_MAX
        run_seconds = self._bounds.attempts_max * (attempt_seconds + HAND_OVER_SECONDS_MAX)
        return NewJob(
            id=job_id,
            owner=submission.owner,
            endpoint_id=endpoint.id,
            endpoint_name=endpoint.name,
            input=job_input,
            output=self._real(submission.output or _plan(submission, endpoint, version, job_id)),
            submitted_at_ms=now_ms,
            queue_ttl_ms=ttl_seconds * 1000,
            invocation_timeout_ms=timeout_seconds * 1000,
            decide_by_ms=(upload_by_ms or now_ms) + (ttl_seconds + run_seconds) * 1000,
            upload=upload_trigger(submission, job_id, ttl_seconds * 1000, now_ms),
            upload_by_ms=upload_by_ms,
            door=submission.door,
            task=task,
            accept=submission.accept,
            priority=submission.priority,
            affinity=submission.affinity,
            **_device(version, contract, task),
            purpose=JobPurpose.TRIAL if submission.version_id else JobPurpose.CLIENT,
            version_id=submission.version_id,
            attributes=_kept_attributes(submission),
            notify=self._targets(submission, version),
            name_chosen=_chooses_name(submission),
        )

    def _targets(self, submission: Submission, version: EndpointVersion) -> tuple[Target, ...]:
        """Who is told: those that the request names, and then the endpoint's own. Of a trial only its own receiver."""
        if submission.version_id:
            return tuple(Target(TargetKind.TRIAL, url) for url in submission.webhooks)
        asked = read_webhooks(
            submission.webhooks,
            allow=self._receivers,
            kind=submission.webhook_kind,
            events=submission.webhook_events,
        )
        own = read_webhooks(
            version.settings.webhooks,
            allow=PRIVATE_NETWORKS,
            events=frozenset(version.settings.webhook_events),
        )  # refused, if need be, when it is called
        added = () if self._webhooks is None else self._webhooks.targets(version.endpoint_name)
        return tuple(dict.fromkeys((*asked, *own, *added, *_topics(version.settings))))

    def _real(self, plan: OutputPlan) -> OutputPlan:
        return plan if self._home is None else OutputPlan(self._home.real(plan.result), self._home.real(plan.failure))

    async def _commit(self, job: NewJob, key: c.IdempotencyKey | None, version: EndpointVersion) -> Accepted:
        depth_max = version.settings.queue_depth_max if job.upload is None else AWAITED_UPLOADS_MAX
        command = c.Submit(job, depth_max, key)
        (outcome,) = await self._store.apply([command])
        reached(CrashPoint.SUBMIT_COMMITTED)
        match outcome:
            case c.Submitted(existing=True, job=Job() as earlier):
                return Accepted(earlier.id, earlier.output, existing=True)
            case c.Submitted():
                self._watch.accepted(job.id)
                self._bells.ring(job.endpoint_id)
                return Accepted(job.id, job.output)
            case c.KeyConflict(job_id):
                raise _another_request(job_id)
            case c.QueueFull(depth, limit) if job.upload is not None:
                message = f"{depth} of {limit} jobs of {job.endpoint_name!r} wait for their uploads."
                raise Busy(errors.UPLOADS_TOO_MANY, message)
            case c.QueueFull(depth, limit):
                raise Busy(errors.QUEUE_FULL, f"The queue of {job.endpoint_name!r} is full: {depth} of {limit} jobs.")
            case c.NameTaken(name, job_id):
                raise Conflict(
                    errors.OUTPUT_NAME_TAKEN, f"{name.uri} is reserved by job {job_id}, which has not ended."
                )
            case _:
                raise Conflict(errors.ENDPOINT_NOT_IN_SERVICE, f"Endpoint {job.endpoint_name!r} takes no more jobs.")


def _retried(job_id: str) -> str:
    """The fingerprint of a retry: there is nothing to it but whose it is."""
    return hashlib.sha256(job_id.encode()).hexdigest()


def _in_place(job_id: str) -> str:
    """The idempotency key of the one retry in place that a job can have."""
    return f"in-place:{job_id}"


def _not_in_service(endpoint: Endpoint) -> Busy | Conflict:
    """Busy while a trial may still bring it into service; otherwise trying again is no use."""
    message = f"Endpoint {endpoint.name!r} is {endpoint.status}, not InService."
    if endpoint.status is EndpointStatus.CREATING:
        return Busy(errors.ENDPOINT_NOT_IN_SERVICE, message, retry_after_seconds=10)
    remedy = "Deploy a mended package: seatrial deploy PACKAGE --name NAME --update"
    reason = f" {endpoint.failure_reason}" if endpoint.failure_reason else ""
    return Conflict(errors.ENDPOINT_NOT_IN_SERVICE, message + reason, details={"remedy": remedy})


def _topics(settings: VersionSettings) -> list[Target]:
    """The topics that an endpoint tells of its jobs."""
    named = (
        (settings.success_topic, {JobState.SUCCEEDED}, settings.answer_to_success_topic),
        (settings.error_topic, {JobState.FAILED, JobState.CANCELLED}, settings.answer_to_error_topic),
    )
    return [
        Target(TargetKind.TOPIC, arn, frozenset(state.value for state in states), inline)
        for arn, states, inline in named
        if arn is not None
    ]


def _another_request(job_id: str) -> Conflict:
    return Conflict(
        errors.IDEMPOTENCY_CONFLICT,
        f"This idempotency key belongs to a different request, which made job {job_id}.",
        field="idempotency_key",
        valid="a new key for a new request, or the very same request",
    )


def _media_type(submission: Submission, stored: str) -> str:
    """What an object is: as the request says, else as it was stored."""
    if submission.media_type is not None:
        return submission.media_type
    return JSON if submission.vague_is_json and stored in UNSPECIFIC else stored


def _again(job: Job) -> Submission:
    return Submission(
        endpoint_name=job.endpoint_name,
        owner=job.owner,
        reach=reach_of(job),
        door=job.door,
        media_type=job.input.media_type,
        accept=job.accept,
        task=job.task,
        priority=job.priority,
        affinity=job.affinity,
        invocation_timeout_seconds=job.invocation_timeout_ms // 1000,
        attributes=job.attributes,
        webhooks=tuple(one.address for one in job.notify if one.kind is TargetKind.RUNPOD),
        webhook_kind=TargetKind.RUNPOD,
    )


def _kept_attributes(submission: Submission) -> Mapping[str, str]:
    """With its circumstances, and the reach of who asked, unless that is the owner."""
    reach, kept = submission.reach, {**submission.attributes, **submission.circumstances}
    return kept if reach == EVERYTHING else {**kept, REACH: reach_document(reach)}


def _device(version: EndpointVersion, contract: Contract, task: str | None) -> dict[str, Any]:
    """Jobs of an endpoint that names no group share a device with each other, which matters with exclusive tasks."""
    group = version.settings.device_group
    if group is None and any(one.exclusive for one in contract.tasks):
        group = version.endpoint_id
    named = None if task is None else contract.task(task)
    return {"device_group": group, "exclusive": group is not None and named is not None and named.exclusive}


def _chooses_name(submission: Submission) -> bool:
    """Whether a later job's outcome may come to lie under the same name."""
    named = submission.result_name is not None and JOB_ID not in submission.result_name
    return submission.output is not None or submission.result_filename is not None or named


def _plan(submission: Submission, endpoint: Endpoint, version: EndpointVersion, job_id: str) -> OutputPlan:
    """Names for the outcome: `<prefix><uuid>.out`, or what the request chose, and `<prefix><uuid>-error.out`."""
    unique = str(uuid.uuid4())
    result_prefix = version.settings.output_prefix or ObjectName(RESULTS_BUCKET, f"{endpoint.name}/")
    failure_prefix = version.settings.failure_prefix or result_prefix
    if submission.version_id:  # a trial's own: clients who watch the output folder never see it
        result_prefix = failure_prefix = ObjectName(TRIALS_BUCKET, f"{endpoint.name}/{version.id}/")
    chosen = submission.result_filename
    if submission.result_name is not None:
        chosen = with_job_id(submission.result_name, job_id)
        if chosen.startswith("s3://"):
            bucket, _, chosen = chosen.removeprefix("s3://").partition("/")
            result_prefix = failure_prefix = ObjectName(bucket, "")
    result = chosen or f"{unique}.out"
    failure = f"{unique}-error.out" if chosen is None else _failure_name(chosen)
    extension = f"{submission.result_extension.strip('/')}/" if submission.result_extension else ""
    plan = OutputPlan(
        result=ObjectName(result_prefix.bucket, f"{result_prefix.key}{extension}{result}"),
        failure=ObjectName(failure_prefix.bucket, f"{failure_prefix.key}{extension}{failure}"),
    )
    for name in (plan.result, plan.failure):
        if len(name.key.encode()) > KEY_BYTES_MAX:
            raise _unusable_name(f"The key of {name.uri[:100]}… would have more than {KEY_BYTES_MAX:,} bytes.")
    return plan


def _failure_name(result: str) -> str:
    """`a/plan.json` -> `a/plan-error.json`."""
    if any(part in ("", ".", "..") for part in result.split("/")):
        raise _unusable_name(f"{result!r} is no name for a result.")
    path = PurePosixPath(result)
    return str(path.with_name(f"{path.stem}-error{path.suffix}"))


def _unusable_name(message: str) -> BadInput:
    valid = f"a relative path without '.' and '..' in it, of at most {KEY_BYTES_MAX:,} bytes with its prefix"
    return BadInput(errors.INVALID_FIELD, message, field="result_filename", valid=valid)
