"""What clients of an endpoint ask: run, runsync, status, stream, cancel, retry, purge-queue, health, requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from seatrial.domain import errors
from seatrial.domain.client_bucket import CLIENT_BUCKET
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.delivery import TargetKind
from seatrial.domain.endpoint import Endpoint
from seatrial.domain.errors import BadInput, Conflict, NotFound
from seatrial.domain.jobs import Job, JobFilter, JobState
from seatrial.domain.limits import (
    INLINE_PAYLOAD_BYTES_MAX,
    INPUT_OBJECT_BYTES_MAX,
    JSON_PARSED_ON_LOOP_BYTES_MAX,
    RUNPOD_BODY_BYTES_MAX,
    RUNPOD_REQUESTS_SHOWN,
)
from seatrial.engine.submission import BodyDigest, StagedBody, Submission
from seatrial.http.dialects.runpod import requests as asked
from seatrial.http.dialects.runpod import status as dialect
from seatrial.http.doors.answers import json_response
from seatrial.http.doors.runpod.outputs import Outputs
from seatrial.http.services import Services

DOOR = "runpod"
JSON = "application/json"
CANCEL_SHOWN_SECONDS = 2.0  # SDKs give up after 3
Handler = Callable[..., Awaitable[Response]]


class ClientRoutes:
    """Each handler gets the request, who calls, the endpoint's name and the rest of the path."""

    def __init__(self, services: Services, outputs: Outputs) -> None:
        self._services = services
        self._outputs = outputs

    def routes(self) -> Mapping[tuple[str, str, int], tuple[KeyScope, Handler]]:
        """What is asked of the caller and what is done, by method, verb and number of path parts that follow."""
        return {
            ("POST", "run", 0): (KeyScope.SUBMIT, self.run),
            ("POST", "runsync", 0): (KeyScope.SUBMIT, self.runsync),
            ("GET", "status", 1): (KeyScope.READ, self.status),
            ("POST", "status", 1): (KeyScope.READ, self.status),
            ("GET", "stream", 1): (KeyScope.READ, self.stream),
            ("POST", "stream", 1): (KeyScope.READ, self.stream),
            ("POST", "cancel", 1): (KeyScope.SUBMIT, self.cancel),
            ("POST", "retry", 1): (KeyScope.SUBMIT, self.retry),
            ("POST", "purge-queue", 0): (KeyScope.SUBMIT, self.purge),
            ("GET", "health", 0): (KeyScope.READ, self.health),
            ("GET", "requests", 0): (KeyScope.READ, self.requests),
        }

    async def run(self, request: Request, principal: Principal, endpoint: str) -> Response:
        """Accept a job."""
        job_id = await self._submit(request, principal, endpoint)
        return json_response({"id": job_id, "status": dialect.IN_QUEUE})

    async def runsync(self, request: Request, principal: Principal, endpoint: str) -> Response:
        """Accept a job and wait for it; it goes on when the time has passed, or the client has left."""
        wait_seconds = asked.read_wait_seconds(request.query_params.get("wait"))
        job_id = await self._submit(request, principal, endpoint)
        job = await self._services.inspector.wait(job_id, wait_seconds)
        return json_response(await self._outputs.status(job, asked.SYNC_PREFIX + job_id, principal))

    async def status(self, request: Request, principal: Principal, endpoint: str, shown_id: str) -> Response:
        """Where the job is, with its output once it has one."""
        return json_response(await self._outputs.status(await self._job(endpoint, shown_id), shown_id, principal))

    async def stream(self, request: Request, principal: Principal, endpoint: str, shown_id: str) -> Response:
        """What its handler has yielded since this was last asked; a whole output counts as one chunk."""
        job = await self._job(endpoint, shown_id)
        return json_response(dialect.stream(job, await self._outputs.chunks(job, principal)))

    async def cancel(self, request: Request, principal: Principal, endpoint: str, shown_id: str) -> Response:
        """Cancel; of a job that has ended, how it has. SDKs wait 3 s: a stop that takes longer goes on without them."""
        job = await self._job(endpoint, shown_id)
        cancelling = asyncio.ensure_future(self._services.canceller.cancel(job.id))
        try:
            job = await asyncio.wait_for(asyncio.shield(cancelling), CANCEL_SHOWN_SECONDS)
        except TimeoutError:
            cancelling.add_done_callback(_heard)
            return json_response({"id": shown_id, "status": dialect.CANCELLED})
        except Conflict:
            job = await self._services.inspector.job(job.id)
        return json_response({"id": shown_id, "status": dialect.state_of(job)})

    async def retry(self, request: Request, principal: Principal, endpoint: str, shown_id: str) -> Response:
        """Run a failed job again, under the id that it has."""
        job = await self._job(endpoint, shown_id)
        if not job.ended:
            raise Conflict(errors.JOB_NOT_ENDED, f"Job {shown_id} is {dialect.state_of(job)}: it has not ended.")
        if job.state is not JobState.FAILED:
            message = f"Job {shown_id} is {dialect.state_of(job)}; FAILED and TIMED_OUT jobs are retried."
            raise BadInput(errors.INVALID_FIELD, message, field="id", valid="the id of a FAILED or TIMED_OUT job")
        await self._services.submitter.retry_in_place(job.id)
        return json_response({"id": shown_id, "status": dialect.IN_QUEUE})

    async def purge(self, request: Request, principal: Principal, endpoint: str) -> Response:
        """Cancel what waits in the queue; what runs goes on."""
        found = await self._services.deployer.endpoint(endpoint)
        removed = await self._services.canceller.purge(found.id)
        return json_response({"removed": removed, "status": "completed"})

    async def health(self, request: Request, principal: Principal, endpoint: str) -> Response:
        """How many jobs and workers are in each state."""
        found = await self._services.deployer.endpoint(endpoint)
        counts = await self._services.inspector.counts(found.id)
        return json_response(dialect.health(counts, self._workers(found)))

    async def requests(self, request: Request, principal: Principal, endpoint: str) -> Response:
        """The newest jobs of the endpoint."""
        await self._services.deployer.endpoint(endpoint)
        jobs = await self._services.inspector.jobs(JobFilter(endpoint_name=endpoint, limit=RUNPOD_REQUESTS_SHOWN))
        return json_response({"requests": [dialect.status(job, job.id) for job in jobs]})

    # ------------------------------------------------------------------ inside

    def _workers(self, endpoint: Endpoint) -> dict[str, int]:
        deployer = self._services.deployer
        ready, busy = deployer.workers(endpoint.name), deployer.busy_workers(endpoint.name)
        missing = max(0, endpoint.workers_desired - ready)
        outside = self._services.outside.workers(endpoint.name)
        idle, running = ready - busy + outside["idle"], busy + outside["running"]
        words = {"idle": idle, "running": running, "ready": idle + running, "initializing": missing}
        return words | {"throttled": 0, "unhealthy": outside["unhealthy"]}

    async def _job(self, endpoint: str, shown_id: str) -> Job:
        """The newest job behind an id, whoever's door it came by."""
        try:
            job = await self._services.submitter.newest(asked.job_id_of(shown_id))
        except NotFound as error:
            raise _unknown(endpoint, shown_id) from error
        if job.endpoint_name != endpoint:
            raise _unknown(endpoint, shown_id)
        return job

    async def _submit(self, request: Request, principal: Principal, endpoint: str) -> str:
        body = await _body(request)
        is_short = len(body) <= JSON_PARSED_ON_LOOP_BYTES_MAX
        run = asked.read_run(body) if is_short else await asyncio.to_thread(asked.read_run, body)
        accepted = await self._services.submitter.submit(
            Submission(
                endpoint_name=endpoint,
                owner=principal.owner,
                reach=principal.reach,
                door=DOOR,
                media_type=JSON,
                body=run.input if len(run.input) <= INLINE_PAYLOAD_BYTES_MAX else await self._staged(run.input),
                priority=run.priority,
                queue_ttl_seconds=run.queue_ttl_seconds,
                invocation_timeout_seconds=run.execution_timeout_seconds,
                idempotency_key=request.headers.get("idempotency-key"),
                attributes=_attributes(run),
                webhooks=(run.webhook,) if run.webhook else (),
                webhook_kind=TargetKind.RUNPOD,
            )
        )
        return accepted.job_id

    async def _staged(self, body: bytes) -> StagedBody:
        digest = BodyDigest(JSON)
        digest.add(body)
        return StagedBody(await self._services.objects.stage(body, INPUT_OBJECT_BYTES_MAX), digest.hex())


def _heard(cancelling: asyncio.Future[Job]) -> None:
    """What came of a cancel that nobody waited for is to be seen in the job."""
    if not cancelling.cancelled():
        cancelling.exception()


async def _body(request: Request) -> bytes:
    """The whole body, up to its limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > RUNPOD_BODY_BYTES_MAX:
            message = f"The body has more than {RUNPOD_BODY_BYTES_MAX:,} bytes."
            valid = "a URL or an s3:// URI inside of the input for what is larger"
            raise BadInput(errors.PAYLOAD_TOO_LARGE, message, field="body", valid=valid)
    return bytes(body)


def _unknown(endpoint: str, shown_id: str) -> NotFound:
    return NotFound(errors.JOB_NOT_FOUND, f"There is no job {shown_id[:200]!r} of endpoint {endpoint[:100]!r}.")


def _attributes(run: asked.Run) -> dict[str, str]:
    kept = {asked.EXTRAS: run.extras, CLIENT_BUCKET: run.bucket and run.bucket.attribute()}
    return {name: value for name, value in kept.items() if value}
