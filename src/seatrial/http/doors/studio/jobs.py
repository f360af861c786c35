"""What clients ask of the endpoint: inference, training, their status and result, the jobs, its health."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from seatrial.domain import errors
from seatrial.domain.credentials import Principal
from seatrial.domain.delivery import Delivery, TargetKind, delivery_id
from seatrial.domain.endpoint import Endpoint, EndpointStatus
from seatrial.domain.errors import BadInput, Conflict, NotFound
from seatrial.domain.jobs import Job, JobFilter, JobPurpose, JobState
from seatrial.domain.limits import (
    INLINE_PAYLOAD_BYTES_MAX,
    INPUT_OBJECT_BYTES_MAX,
    JSON_PARSED_ON_LOOP_BYTES_MAX,
    STUDIO_BODY_BYTES_MAX,
    STUDIO_JOBS_SHOWN,
)
from seatrial.domain.media_types import JSON
from seatrial.engine.submission import BodyDigest, StagedBody, Submission
from seatrial.http.api.results import result_response
from seatrial.http.dialects.studio import requests as asked
from seatrial.http.dialects.studio import status as dialect
from seatrial.http.dialects.studio import tasks
from seatrial.http.doors.answers import json_response
from seatrial.http.services import Services

DOOR = "studio"


class JobRoutes:
    """Each handler gets the request, who calls and, where the path has one, the job's id."""

    def __init__(self, services: Services, endpoint_name: str) -> None:
        self._services = services
        self._endpoint_name = endpoint_name

    async def infer(self, request: Request, principal: Principal) -> Response:
        """Accept a picture to paint."""
        body = await _body(request)
        is_short = len(body) <= JSON_PARSED_ON_LOOP_BYTES_MAX
        wanted = asked.read_inference(body) if is_short else await asyncio.to_thread(asked.read_inference, body)
        contract = await self._services.deployer.contract(self._endpoint_name)
        task = tasks.inference_task(contract)
        given = wanted.body(tasks.takes(contract, task))
        job_id = await self._submit(request, principal, wanted, given, task.name if task else None, dialect.INFERENCE)
        return json_response(dialect.accepted(job_id, dialect.INFERENCE))

    async def train(self, request: Request, principal: Principal) -> Response:
        """Accept a training."""
        job_type, wanted = asked.read_train(await _body(request))
        contract = await self._services.deployer.contract(self._endpoint_name)
        task = tasks.task_of_type(contract, job_type)
        job_id = await self._submit(request, principal, wanted, wanted.body(), task.name, dialect.TRAINING)
        return json_response(dialect.accepted(job_id, dialect.TRAINING), 201)

    async def status(self, request: Request, principal: Principal, shown_id: str) -> Response:
        """Where a job is, and what became of its callback."""
        job = await self._job(principal, shown_id)
        progress = self._services.streams.progress_of(job)
        document = dialect.status(job, tasks.kind_of(job), _base(request), progress)
        callback = dialect.callback(job, await self._told(job))
        return json_response(document | ({} if callback is None else {"callback": callback}))

    async def result(self, request: Request, principal: Principal, shown_id: str) -> Response:
        """The bytes of the image; 404 until there are any."""
        job = await self._job(principal, shown_id)
        part = dialect.result_of(job)
        if part is None:
            valid = f"GET /{tasks.kind_of(job)}/status/{shown_id} says completed first"
            raise NotFound(errors.JOB_NOT_ENDED, f"Job {shown_id} is {dialect.state_of(job)}.", valid=valid)
        at_hand = self._services.inspector.small_part(job.id, part.name)
        return await result_response(job, part.name, self._services.objects, at_hand)

    async def listed(self, request: Request, principal: Principal) -> Response:
        """The newest jobs of the endpoint, whichever door they came by."""
        kind = request.query_params.get("job_type")
        if kind not in (None, dialect.INFERENCE, dialect.TRAINING):
            valid = f"{dialect.INFERENCE} or {dialect.TRAINING}"
            raise BadInput(errors.INVALID_FIELD, f"{kind[:100]!r} is no job_type.", field="job_type", valid=valid)
        await self._services.deployer.endpoint(self._endpoint_name)
        which = JobFilter(endpoint_name=self._endpoint_name, limit=STUDIO_JOBS_SHOWN)
        jobs = [(tasks.kind_of(job), job) for job in await self._services.inspector.jobs(which)]
        base = _base(request)
        return json_response({"jobs": [dialect.status(job, its, base) for its, job in jobs if kind in (None, its)]})

    async def health(self, request: Request, principal: Principal) -> Response:
        """200 while jobs are taken, else 503 with the same document."""
        try:
            endpoint = await self._services.deployer.endpoint(self._endpoint_name)
        except NotFound:
            return json_response(self._document("unhealthy", "not deployed"), 503)
        if endpoint.active_version is None:
            status = "starting" if endpoint.status is EndpointStatus.CREATING else "unhealthy"
            reason = f"{endpoint.status}: {endpoint.failure_reason or 'not in service'}"
            return json_response(self._document(status, reason), 503)
        return json_response(await self._healthy(endpoint))

    # ------------------------------------------------------------------ inside

    async def _submit(
        self, request: Request, principal: Principal, wanted: asked.Asked, body: bytes, task: str | None, kind: str
    ) -> str:
        callback = asked.Callback(_base(request), wanted.callback_secret, wanted.expires_at_ms)
        named = {} if wanted.job_id is None else {asked.NAME: wanted.job_id}
        try:
            accepted = await self._services.submitter.submit(
                Submission(
                    endpoint_name=self._endpoint_name,
                    owner=principal.owner,
                    reach=principal.reach,
                    door=DOOR,
                    media_type=JSON,
                    body=body if len(body) <= INLINE_PAYLOAD_BYTES_MAX else await self._staged(body),
                    task=task,
                    affinity=wanted.affinity,
                    idempotency_key=wanted.job_id,
                    key_until_end=True,
                    attributes={**named, tasks.KIND: kind, asked.CALLBACK: callback.kept()},
                    check_now=True,
                    webhooks=(wanted.callback_url,) if wanted.callback_url else (),
                    webhook_kind=TargetKind.STUDIO,
                )
            )
        except Conflict as error:
            if error.error_type == errors.IDEMPOTENCY_CONFLICT:
                raise _under_way(wanted.job_id) from None
            raise
        except BadInput as error:
            error.field = "callback_url" if error.field == "webhook" else error.field  # as it is called here
            raise
        if accepted.existing:
            raise _under_way(wanted.job_id)
        return wanted.job_id or accepted.job_id

    async def _staged(self, body: bytes) -> StagedBody:
        digest = BodyDigest(JSON)
        digest.add(body)
        return StagedBody(await self._services.objects.stage(body, INPUT_OBJECT_BYTES_MAX), digest.hex())

    async def _job(self, principal: Principal, shown_id: str) -> Job:
        """The newest job that its client gave that name, else the one of that id, whichever door it came by."""
        job = await self._services.submitter.named(self._endpoint_name, principal.owner, DOOR, shown_id)
        try:
            job = job or await self._services.inspector.job(shown_id)
        except NotFound:
            raise self._unknown(shown_id) from None
        if job.endpoint_name != self._endpoint_name or job.purpose is not JobPurpose.CLIENT:
            raise self._unknown(shown_id)
        return job

    async def _told(self, job: Job) -> Delivery | None:
        """The job's callback, with what became of it."""
        kinds = [target.kind for target in job.notify]
        if not job.ended or TargetKind.STUDIO not in kinds:
            return None
        try:
            return await self._services.deliverer.delivery(delivery_id(job.id, kinds.index(TargetKind.STUDIO) + 1))
        except NotFound:
            return None  # forgotten by now

    def _unknown(self, shown_id: str) -> NotFound:
        message = f"There is no job {shown_id[:200]!r} of endpoint {self._endpoint_name!r}."
        return NotFound(errors.JOB_NOT_FOUND, message)

    async def _healthy(self, endpoint: Endpoint) -> dict[str, Any]:
        services, deployer = self._services, self._services.deployer
        counts = await services.inspector.counts(endpoint.id)
        training = tasks.training_task(await deployer.contract(endpoint.name)) is not None
        in_service = endpoint.status is not EndpointStatus.DELETING
        status, inference = ("healthy", "running") if in_service else ("unhealthy", str(endpoint.status))
        document = self._document(status, inference)
        document["services"]["training"] = "running" if training else "not offered"
        return document | {
            "workers": {"ready": deployer.workers(endpoint.name), "busy": deployer.busy_workers(endpoint.name)},
            "jobs": {
                dialect.QUEUED: counts.get(JobState.QUEUED, 0),
                dialect.PROCESSING: counts.get(JobState.RUNNING, 0) + counts.get(JobState.PUBLISHING, 0),
            },
        }

    def _document(self, status: str, inference: str) -> dict[str, Any]:
        now = dialect.instant(self._services.clock.now_ms())
        services = {"inference": inference}
        return {"status": status, "timestamp": now, "endpoint": self._endpoint_name, "services": services}


def _base(request: Request) -> str:
    """The server's URL, as this client has it."""
    return str(request.base_url).rstrip("/")


def _under_way(job_id: str | None) -> Conflict:
    message = f"Job {job_id} is in the queue or runs already."
    return Conflict(
        errors.IDEMPOTENCY_CONFLICT, message, field="job_id", valid="another job_id, or this one after its end"
    )


async def _body(request: Request) -> bytes:
    """The whole body, up to its limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > STUDIO_BODY_BYTES_MAX:
            message = f"The body has more than {STUDIO_BODY_BYTES_MAX:,} bytes."
            raise BadInput(
                errors.PAYLOAD_TOO_LARGE, message, field="body", valid=f"at most {STUDIO_BODY_BYTES_MAX:,} bytes"
            )
    return bytes(body)
