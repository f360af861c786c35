"""Predictions and trainings: made, waited for, followed, looked at and cancelled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from seatrial.domain import errors
from seatrial.domain.contract import Task
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.delivery import TargetKind
from seatrial.domain.errors import BadInput, Conflict, NotFound
from seatrial.domain.jobs import Job, JobPurpose, JobState
from seatrial.domain.limits import (
    COG_BODY_BYTES_MAX,
    COG_CANCEL_SECONDS,
    COG_WAIT_SECONDS_MAX,
    INLINE_PAYLOAD_BYTES_MAX,
    INPUT_OBJECT_BYTES_MAX,
    JSON_PARSED_ON_LOOP_BYTES_MAX,
)
from seatrial.domain.media_types import JSON
from seatrial.engine.submission import BodyDigest, StagedBody, Submission
from seatrial.engine.submit import Accepted
from seatrial.http.api.events import event, event_stream
from seatrial.http.auth import still_may
from seatrial.http.dialects.cog import requests as asked
from seatrial.http.dialects.cog import status as dialect
from seatrial.http.dialects.cog.openapi import streams
from seatrial.http.doors.answers import json_response
from seatrial.http.doors.cog.documents import Documents
from seatrial.http.doors.cog.following import Following
from seatrial.http.doors.cog.tasks import predict_task, train_task
from seatrial.http.doors.cog.webhooks import Events
from seatrial.http.services import Services

DOOR = "cog"


class Capacity(StrEnum):
    """What becomes of a prediction while every worker is busy."""

    QUEUE = "queue"
    REFUSE = "refuse"  # 409, as Cog's own server does


@dataclass(frozen=True, slots=True)
class Call:
    """One request: for which endpoint, and by whom."""

    request: Request
    principal: Principal
    endpoint: str
    trains: bool


class PredictionRoutes:
    """Each handler gets the call and, where the path has one, the prediction's id."""

    def __init__(self, services: Services, documents: Documents, capacity: Capacity) -> None:
        self._services = services
        self._documents = documents
        self._capacity = capacity
        self._following = Following(services.inspector, services.streams, services.logs)
        self._events = Events(self._following, documents, services.deliverer, services.clock)

    async def create(self, call: Call) -> Response:
        """Make a prediction, and wait for it unless asked not to. Who leaves meanwhile cancels one without an id."""
        wanted, preference = await self._read(call, None)
        task = await self._task(call)
        if preference.stream and not streams(task):
            return json_response({"error": dialect.NO_STREAMING}, 406)
        job_id, existing = await self._submit(call, wanted, task)
        if preference.stream:
            return event_stream(self._told(call, job_id), partial(self._still_may, call))
        return await self._answer(call, job_id, wanted, preference, existing=existing)

    async def put(self, call: Call, shown_id: str) -> Response:
        """The same once: the id's prediction is the same however often it is asked for, also after its end."""
        wanted, preference = await self._read(call, shown_id)
        task = await self._task(call)
        if preference.stream and not streams(task):
            return json_response({"error": dialect.NO_STREAMING}, 406)
        job_id, existing = await self._submit(call, wanted, task)
        if preference.stream:
            return event_stream(self._told(call, job_id), partial(self._still_may, call))
        if existing and preference.wait_seconds is None:
            job = await self._services.inspector.job(job_id)
            return json_response(await self._documents.prediction(job, call.principal), 200 if job.ended else 202)
        return await self._answer(call, job_id, wanted, preference, existing=existing)

    async def show(self, call: Call, shown_id: str) -> Response:
        """Where it is, with its output once it has one."""
        job = await self._job(call, shown_id)
        return json_response(await self._documents.prediction(job, call.principal))

    async def cancel(self, call: Call, shown_id: str) -> Response:
        """Stop it; 404 where there is nothing to stop. Not waited for longer than clients wait for an answer."""
        try:
            job = await self._job(call, shown_id)
        except NotFound:
            return json_response({}, 404)
        cancelling = asyncio.ensure_future(self._services.canceller.cancel(job.id))
        try:
            await asyncio.wait_for(asyncio.shield(cancelling), COG_CANCEL_SECONDS)
        except TimeoutError:
            cancelling.add_done_callback(_heard)
        except Conflict:
            return json_response({}, 404)
        return json_response({})

    # ------------------------------------------------------------------ making

    async def _read(self, call: Call, path_id: str | None) -> tuple[asked.Asked, asked.Preference]:
        headers = dict(call.request.headers)
        preference = asked.read_preference(headers)
        body = await _body(call.request)
        given = (body, headers.get("content-type", ""), headers, path_id)
        if len(body) <= JSON_PARSED_ON_LOOP_BYTES_MAX:
            return asked.read_body(*given), preference
        return await asyncio.to_thread(asked.read_body, *given), preference

    async def _task(self, call: Call) -> Task | None:
        contract = await self._services.deployer.contract(call.endpoint)
        if not call.trains:
            return predict_task(contract)
        task = train_task(contract)
        if task is None:
            message = f"The endpoint {call.endpoint!r} has no training."
            raise NotFound(errors.UNKNOWN_TASK, message, valid="a package whose cog.yaml names a `train`")
        return task

    async def _submit(self, call: Call, wanted: asked.Asked, task: Task | None) -> tuple[str, bool]:
        """The job's id, and whether it was there before."""
        await self._check_capacity(call, wanted)
        told = bool(wanted.webhook) and asked.COMPLETED in wanted.events
        names = ({asked.NAME: wanted.id} if wanted.id else {}) | ({asked.KIND: "training"} if call.trains else {})
        accepted = await self._accepted(
            Submission(
                endpoint_name=call.endpoint,
                owner=call.principal.owner,
                reach=call.principal.reach,
                door=DOOR,
                media_type=JSON,
                body=await self._kept(wanted.input),
                task=None if task is None else task.name,
                idempotency_key=wanted.id,
                attributes={**names, asked.EXTRAS: wanted.kept()},
                circumstances={asked.TRACE: json.dumps(wanted.trace)} if wanted.trace else {},
                check_now=True,
                webhooks=(wanted.webhook,) if wanted.webhook and told else (),
                webhook_kind=TargetKind.COG,
            )
        )
        if wanted.webhook and not accepted.existing:
            self._events.tell(accepted.job_id, wanted.webhook, wanted.events)
        return accepted.job_id, accepted.existing

    async def _accepted(self, submission: Submission) -> Accepted:
        try:
            return await self._services.submitter.submit(submission)
        except Conflict as error:
            if error.error_type != errors.IDEMPOTENCY_CONFLICT:
                raise
            message = f"The id {submission.idempotency_key!r} belongs to another request."
            valid = "another id, or the very same request"
            raise Conflict(error.error_type, message, field="id", valid=valid) from None

    async def _kept(self, body: bytes) -> bytes | StagedBody:
        if len(body) <= INLINE_PAYLOAD_BYTES_MAX:
            return body
        digest = BodyDigest(JSON)
        digest.add(body)
        return StagedBody(await self._services.objects.stage(body, INPUT_OBJECT_BYTES_MAX), digest.hex())

    async def _check_capacity(self, call: Call, wanted: asked.Asked) -> None:
        """As Cog's own server, where that was asked for: no more at once than there are workers."""
        if self._capacity is Capacity.QUEUE:
            return
        services = self._services
        if wanted.id and await services.submitter.named(call.endpoint, call.principal.owner, DOOR, wanted.id):
            return
        endpoint = await services.deployer.endpoint(call.endpoint)
        if await under_way(services, endpoint.id) >= services.deployer.workers(call.endpoint):
            raise Conflict(errors.QUEUE_FULL, dialect.AT_CAPACITY)

    # ------------------------------------------------------------------ answering

    async def _answer(
        self, call: Call, job_id: str, wanted: asked.Asked, preference: asked.Preference, *, existing: bool
    ) -> Response:
        if preference.wait_seconds == 0 and not existing:
            return json_response(dialect.started(wanted.id or job_id), 202)
        seconds = COG_WAIT_SECONDS_MAX if preference.wait_seconds is None else preference.wait_seconds
        job = await self._waited(call, job_id, seconds, keeps=wanted.id is not None)
        return json_response(await self._documents.prediction(job, call.principal), 200 if job.ended else 202)

    async def _waited(self, call: Call, job_id: str, seconds: float, *, keeps: bool) -> Job:
        """The job after its end or the time. A client that leaves takes one with it that it could never ask for."""
        waiting = asyncio.ensure_future(self._services.inspector.wait(job_id, seconds))
        leaving = asyncio.ensure_future(_left(call.request))
        try:
            await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            if not keeps:
                cancelling = asyncio.ensure_future(self._services.canceller.cancel(job_id))
                cancelling.add_done_callback(_heard)
            raise ClientDisconnect
        finally:
            waiting.cancel()
            leaving.cancel()

    def _still_may(self, call: Call) -> bool:
        has_key = any(name in call.request.headers for name in ("authorization", "x-api-key"))
        return not has_key or still_may(call.request, self._services.keyring, KeyScope.SUBMIT, call.endpoint)

    async def _told(self, call: Call, job_id: str) -> AsyncIterator[bytes]:
        """What happens to it, as server-sent events."""
        async for one in self._following.follow(job_id, at_once=True):
            if one.begun:
                started = {"id": dialect.shown_id(one.job), "status": dialect.PROCESSING}
                yield event("start", json.dumps(started))
            for number, chunk in one.chunks:
                yield event("output", json.dumps({"chunk": chunk, "index": number}))
            if one.logs:
                yield event("log", json.dumps({"source": "stdout", "data": one.logs}))
            if one.job.ended:
                yield event("completed", json.dumps(await self._documents.prediction(one.job, call.principal)))

    # ------------------------------------------------------------------ finding

    async def _job(self, call: Call, shown_id: str) -> Job:
        """The one that its client gave that id, else the one of that id, whichever door it came by."""
        owner = call.principal.owner
        job = await self._services.submitter.named(call.endpoint, owner, DOOR, shown_id)
        try:
            job = job or await self._services.inspector.job(shown_id)
        except NotFound:
            raise _unknown(call, shown_id) from None
        if job.endpoint_name != call.endpoint or job.purpose is not JobPurpose.CLIENT:
            raise _unknown(call, shown_id)
        return job


async def under_way(services: Services, endpoint_id: str) -> int:
    """How many of an endpoint's jobs wait or run."""
    counts = await services.inspector.counts(endpoint_id)
    return sum(counts.get(state, 0) for state in (JobState.QUEUED, JobState.RUNNING, JobState.PUBLISHING))


def _unknown(call: Call, shown_id: str) -> NotFound:
    message = f"There is no prediction {shown_id[:200]!r} of endpoint {call.endpoint[:100]!r}."
    return NotFound(errors.JOB_NOT_FOUND, message)


def _heard(cancelling: asyncio.Future[Job]) -> None:
    """What came of a cancel that nobody waited for is to be seen in the job."""
    if not cancelling.cancelled():
        cancelling.exception()


async def _left(request: Request) -> None:
    """Until the client has."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request) -> bytes:
    """The whole body, up to its limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > COG_BODY_BYTES_MAX:
            message = f"The body has more than {COG_BODY_BYTES_MAX:,} bytes."
            valid = "a URL or an s3:// URI for files that are larger"
            raise BadInput(errors.PAYLOAD_TOO_LARGE, message, field="body", valid=valid)
    return bytes(body)
