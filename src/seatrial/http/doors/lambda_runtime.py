"""Lambda's Runtime API for workers that pull, under an address that says whose jobs and which worker.

`/v1/endpoints/NAME/lambda/WORKER` stands before the paths of the Runtime API. Runtimes know a host and a port and no
key, so `seatrial lambda worker` stands between: it serves the plain Runtime API on loopback and passes requests on.

An outcome is answered 202 once it is durable, also of an invocation that the worker no longer holds: a runtime ends
when it is told anything else.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from seatrial.domain import errors
from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope
from seatrial.domain.errors import NotFound
from seatrial.domain.failures import Failure
from seatrial.domain.limits import (
    JSON_OUTPUT_BYTES_MAX,
    OUTSIDE_POLL_SECONDS,
    OUTSIDE_REFUSAL_SECONDS,
    OUTSIDE_WORKERS_MAX,
)
from seatrial.domain.logs import LogLine
from seatrial.http.auth import authenticate, still_may
from seatrial.http.dialects.aws_lambda import names
from seatrial.http.dialects.aws_lambda import runtime as dialect
from seatrial.http.dialects.aws_lambda.invocations import EXTRAS
from seatrial.http.dialects.logs import GROUP_PREFIX
from seatrial.http.doors.answers import json_response, ours, refusal
from seatrial.http.doors.request_body import RequestBody
from seatrial.http.errors import NO_SUCH_ROUTE, status_of
from seatrial.http.services import Services

_PATH = re.compile(r"/v1/endpoints/(?P<endpoint>[^/]+)/lambda/(?P<worker>[A-Za-z0-9._-]{1,128})(?P<rest>/.+)")
_OUTCOME = re.compile(rf"{re.escape(dialect.VERSION)}/invocation/(?P<id>[^/]+)/(?P<what>response|error)")
Handler = Callable[[Request, str, str], Awaitable[Response]]


def speaks_runtime(scope: Scope) -> bool:
    """True for requests of workers that speak the Runtime API."""
    path: str = scope["path"]
    return "/lambda/" in path and _PATH.fullmatch(path) is not None


class RuntimeDoor:
    """An ASGI application."""

    def __init__(self, services: Services) -> None:
        self._keyring = services.keyring
        self._outside = services.outside
        self._logs = services.logs
        self._clock = services.clock
        self._began: dict[tuple[str, str], tuple[str, int]] = {}  # by worker: what it was handed out, and when
        self._routes: dict[tuple[str, str], Handler] = {
            ("GET", dialect.NEXT): self._next,
            ("POST", dialect.INIT_ERROR): self._init_error,
            ("GET", "/stops"): self._stops,
            ("POST", "/ping"): self._ping,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = RequestBody(scope, receive)
        request = Request(scope, body.receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the named edge of this door
            await asyncio.sleep(OUTSIDE_REFUSAL_SECONDS)  # workers ask again at once, whatever they were told
            known = ours(request, error)
            response = refusal(dialect.error_document(known.error_type, known.message), status_of(known), known)
        await body.answer(response, send)

    async def _answer(self, request: Request) -> Response:
        principal = authenticate(request, self._keyring)
        path = _PATH.fullmatch(request.scope["path"])
        endpoint, worker, rest = (path["endpoint"], path["worker"], path["rest"]) if path else ("", "", "")
        require(principal, KeyScope.WORKER, endpoint=endpoint)
        outcome = _OUTCOME.fullmatch(rest)
        if outcome and request.method == "POST":
            return await self._outcome(request, endpoint, worker, outcome["id"], outcome["what"])
        handler = self._routes.get((request.method, rest))
        if handler is None:
            raise NotFound(NO_SUCH_ROUTE, f"There is no route {request.method} {rest[:200]} in the Runtime API.")
        return await handler(request, endpoint, worker)

    # ------------------------------------------------------------------ the Runtime API

    async def _next(self, request: Request, endpoint: str, worker: str) -> Response:
        """An invocation; 204 when none came. Whoever asks has none: what it had goes back to the queue."""
        handouts = await self._outside.take(endpoint, worker, 1, OUTSIDE_POLL_SECONDS * 1000, idle=True)
        if not handouts:
            return Response(status_code=204)
        (handout,) = handouts
        may_have = still_may(request, self._keyring, KeyScope.WORKER, endpoint)  # its key may have ended meanwhile
        if not may_have or await request.is_disconnected():
            await self._outside.give_back(endpoint, worker, [handout.job_id])
            return Response(status_code=204)
        now_ms = self._clock.now_ms()
        self._note(endpoint, worker, handout.job_id, now_ms)
        self._say(endpoint, worker, handout.job_id, f"START RequestId: {handout.job_id} Version: {names.LATEST}")
        extras = json.loads(handout.attributes.get(EXTRAS, "{}"))
        keys = self._keyring.credentials
        function_arn = names.arn(endpoint, keys.region, keys.account_id)
        headers = dialect.next_headers(handout.job_id, now_ms + handout.timeout_ms, extras, function_arn)
        return Response(handout.input, 200, headers)

    async def _outcome(self, request: Request, endpoint: str, worker: str, job_id: str, what: str) -> Response:
        body = await _body(request)
        self._report(endpoint, worker, job_id)
        if body is None:
            message = f"The answer has more than {JSON_OUTPUT_BYTES_MAX:,} bytes."
            await self._outside.fail(endpoint, worker, job_id, Failure(errors.OUTPUT_TOO_LARGE, message))
        elif what == "response":
            await self._outside.succeed(endpoint, worker, job_id, body or b"null", streamed=False)
        else:
            failure = dialect.read_error(body, request.headers.get(dialect.ERROR_TYPE))
            await self._outside.fail(endpoint, worker, job_id, failure)
        return json_response(dialect.accepted(), 202)

    async def _init_error(self, request: Request, endpoint: str, worker: str) -> Response:
        """The function could not be loaded: the worker counts as unhealthy, and the endpoint's log says why."""
        failure = dialect.read_error(await _body(request) or b"", request.headers.get(dialect.ERROR_TYPE))
        reason = f"{failure.details['exception']}: {failure.message}"[:500]
        self._say(endpoint, worker, None, f"[seatrial] the outside worker {worker} could not start: {reason}")
        await self._outside.ping(endpoint, worker, [], reason)
        return json_response(dialect.accepted(), 202)

    # ------------------------------------------------------------------ of our own

    async def _stops(self, request: Request, endpoint: str, worker: str) -> Response:
        """Invocations to stop with; empty when there were none for a while."""
        jobs = await self._outside.stops(endpoint, worker, OUTSIDE_POLL_SECONDS * 1000)
        return json_response({"request_ids": jobs})

    async def _ping(self, request: Request, endpoint: str, worker: str) -> Response:
        """The runtime lives, and is at work on these invocations; on others that it had it is not any more."""
        named = [one for one in request.query_params.get("request_ids", "").split(",") if one]
        await self._outside.ping(endpoint, worker, named, None)
        return json_response({"status": "OK"})

    # ------------------------------------------------------------------ lines of log

    def _note(self, endpoint: str, worker: str, job_id: str, now_ms: int) -> None:
        """Of workers that are not heard of any more, the oldest are forgotten."""
        self._began.pop((endpoint, worker), None)
        if len(self._began) >= OUTSIDE_WORKERS_MAX:
            del self._began[next(iter(self._began))]
        self._began[endpoint, worker] = job_id, now_ms

    def _report(self, endpoint: str, worker: str, job_id: str) -> None:
        began_id, began_ms = self._began.get((endpoint, worker), ("", 0))
        if began_id != job_id:
            return
        del self._began[endpoint, worker]
        took_ms = self._clock.now_ms() - began_ms
        self._say(endpoint, worker, job_id, f"END RequestId: {job_id}")
        words = f"Duration: {took_ms:.2f} ms\tBilled Duration: {took_ms} ms"
        self._say(endpoint, worker, job_id, f"REPORT RequestId: {job_id}\t{words}")

    def _say(self, endpoint: str, worker: str, job_id: str | None, text: str) -> None:
        self._logs.append([LogLine(GROUP_PREFIX + endpoint, worker, self._clock.now_ms(), text, job_id)])


async def _body(request: Request) -> bytes | None:
    """The whole body; None when it is larger than an answer may be, its rest unread."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > JSON_OUTPUT_BYTES_MAX:
            return None
    return bytes(body)
