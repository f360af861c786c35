"""What workers that pull ask and post: job-take, job-take-batch, job-done, job-stream, job-stop, ping.

The SDK asks again at once after every answer without a job, and drops a result whose post failed three times. So
questions are held open, and a post is answered when its outcome is durable, however it came out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from starlette.requests import Request
from starlette.responses import Response

from seatrial.domain import errors
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.failures import Failure
from seatrial.domain.limits import (
    JSON_OUTPUT_BYTES_MAX,
    JSON_PARSED_ON_LOOP_BYTES_MAX,
    OUTSIDE_BATCH_MAX,
    OUTSIDE_POLL_SECONDS,
)
from seatrial.engine.outside import Handout, Outside
from seatrial.http.auth import still_may
from seatrial.http.dialects.runpod import worker as dialect
from seatrial.http.doors.answers import json_response
from seatrial.http.services import Services

log = structlog.get_logger(__name__)

Handler = Callable[..., Awaitable[Response]]
VERBS = frozenset({"job-take", "job-take-batch", "job-done", "job-stream", "job-stop", "ping"})


class WorkerRoutes:
    """Each handler gets the request, who calls, the endpoint's name and the rest of the path."""

    def __init__(self, services: Services) -> None:
        self._outside: Outside = services.outside
        self._keyring = services.keyring

    def routes(self) -> Mapping[tuple[str, str, int], tuple[KeyScope, Handler]]:
        """What is asked of the caller and what is done, by method, verb and number of path parts that follow."""
        return {
            ("GET", "job-take", 1): (KeyScope.WORKER, self.take),
            ("GET", "job-take-batch", 1): (KeyScope.WORKER, self.take_batch),
            ("POST", "job-done", 2): (KeyScope.WORKER, self.done),
            ("POST", "job-stream", 2): (KeyScope.WORKER, self.stream),
            ("GET", "job-stop", 1): (KeyScope.WORKER, self.stop),
            ("GET", "ping", 1): (KeyScope.WORKER, self.ping),
        }

    async def take(self, request: Request, principal: Principal, endpoint: str, worker: str) -> Response:
        """One job, as an object; 204 when none came."""
        handouts = await self._take(request, endpoint, worker, 1)
        return json_response(_document(handouts[0])) if handouts else Response(status_code=204)

    async def take_batch(self, request: Request, principal: Principal, endpoint: str, worker: str) -> Response:
        """Up to `batch_size` jobs, as a list; 204 when none came."""
        asked = request.query_params.get("batch_size", "1")
        size = int(asked) if asked.isdecimal() and len(asked) < 9 else 1
        handouts = await self._take(request, endpoint, worker, min(max(size, 1), OUTSIDE_BATCH_MAX))
        return json_response([_document(one) for one in handouts]) if handouts else Response(status_code=204)

    async def done(self, request: Request, principal: Principal, endpoint: str, worker: str, job_id: str) -> Response:
        """The outcome of a job, or its progress. Always 200, once durable; of a job that it no longer holds, too."""
        body = await _body(request)
        if body is None:
            failure = Failure(errors.OUTPUT_TOO_LARGE, f"The answer has more than {JSON_OUTPUT_BYTES_MAX:,} bytes.")
            await self._outside.fail(endpoint, worker, job_id, failure)
            return json_response({"status": "accepted"})
        is_short = len(body) <= JSON_PARSED_ON_LOOP_BYTES_MAX
        said = dialect.read_done(body) if is_short else await asyncio.to_thread(dialect.read_done, body)
        match said:
            case dialect.Progress(told):
                self._outside.progress(endpoint, worker, job_id, told)
            case dialect.Returned(output):
                streamed = request.query_params.get("isStream") == "true"
                await self._outside.succeed(endpoint, worker, job_id, output, streamed=streamed)
            case Failure() as failure:
                await self._outside.fail(endpoint, worker, job_id, failure)
        return json_response({"status": "accepted"})

    async def stream(self, request: Request, principal: Principal, endpoint: str, worker: str, job_id: str) -> Response:
        """The next chunk of a stream."""
        body = await _body(request)
        chunk = dialect.read_chunk(body) if body is not None else None
        if chunk is not None:
            self._outside.chunk(endpoint, worker, job_id, chunk)
        return json_response({"status": "accepted"})

    async def stop(self, request: Request, principal: Principal, endpoint: str, worker: str) -> Response:
        """Jobs to stop with; 204 when there were none."""
        jobs = await self._outside.stops(endpoint, worker, OUTSIDE_POLL_SECONDS * 1000)
        return json_response({"jobsToStop": jobs}) if jobs else Response(status_code=204)

    async def ping(self, request: Request, principal: Principal, endpoint: str, worker: str) -> Response:
        """The worker lives, and names what it is at work on."""
        query = request.query_params
        named = [one for one in query.get("job_id", "").split(",") if one]
        unhealthy = None
        if query.get("status") == "unhealthy":
            unhealthy = f"{query.get('check', 'a check')}: {query.get('reason', 'no reason given')}"[:500]
        await self._outside.ping(endpoint, worker, named, unhealthy)
        return json_response({"status": "ok"})

    async def _take(self, request: Request, endpoint: str, worker: str, n: int) -> list[Handout]:
        idle = request.query_params.get("job_in_progress") == "0"
        handouts = await self._outside.take(endpoint, worker, n, OUTSIDE_POLL_SECONDS * 1000, idle=idle)
        may_have = still_may(request, self._keyring, KeyScope.WORKER, endpoint)  # its key may have ended meanwhile
        if handouts and (not may_have or await request.is_disconnected()):
            await self._outside.give_back(endpoint, worker, [one.job_id for one in handouts])
            return []
        return handouts


def _document(handout: Handout) -> object:
    return dialect.job_document(handout.job_id, handout.input, handout.attributes)


async def _body(request: Request) -> bytes | None:
    """The whole body; None when it is larger than an answer may be, its rest unread."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > JSON_OUTPUT_BYTES_MAX:
            return None
    return bytes(body)
