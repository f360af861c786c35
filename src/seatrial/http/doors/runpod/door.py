"""Find the route, see who calls, and let every error leave as RunPod's clients read them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from seatrial.domain import errors
from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.errors import BadInput, NotFound, SeatrialError
from seatrial.domain.limits import OUTSIDE_REFUSAL_SECONDS
from seatrial.http.auth import authenticate
from seatrial.http.dialects.runpod import status as dialect
from seatrial.http.doors.answers import ours, refusal
from seatrial.http.doors.request_body import RequestBody
from seatrial.http.doors.runpod.client import ClientRoutes
from seatrial.http.doors.runpod.outputs import Outputs
from seatrial.http.doors.runpod.worker import VERBS, WorkerRoutes
from seatrial.http.errors import NO_SUCH_ROUTE, status_of
from seatrial.http.services import Services

PREFIX = "/v2/"
# A handler that is not async stops its worker's loop: the SDK would post the result on a connection that was closed
# for being idle meanwhile, without having seen so, and lose it.
NOT_TO_BE_KEPT = {"Connection": "close"}
Handler = Callable[..., Awaitable[Response]]
_WORDS: dict[str, int] = {errors.MISSING_FIELD: 400, errors.INVALID_FIELD: 400}


def speaks_runpod(scope: Scope) -> bool:
    """True for requests under /v2: no bucket has so short a name."""
    path: str = scope["path"]
    return path.startswith(PREFIX)


class RunpodDoor:
    """An ASGI application."""

    def __init__(self, services: Services) -> None:
        self._keyring = services.keyring
        client = ClientRoutes(
            services,
            Outputs(
                services.inspector,
                services.objects,
                services.streams,
                services.keyring,
                services.base_url,
                services.home,
            ),
        )
        self._routes: dict[tuple[str, str, int], tuple[KeyScope, Handler]] = {
            **client.routes(),
            **WorkerRoutes(services).routes(),
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
            if _verb(request) in VERBS:  # workers ask again at once, whatever they were told
                await asyncio.sleep(OUTSIDE_REFUSAL_SECONDS)
            response = _refused(ours(request, error))
        if _verb(request) in VERBS:
            response.headers.update(NOT_TO_BE_KEPT)
        await body.answer(response, send)

    async def _answer(self, request: Request) -> Response:
        endpoint, *rest = _parts(request)
        verb, arguments = "".join(rest[:1]), rest[1:]
        principal: Principal = authenticate(request, self._keyring)
        found = self._routes.get((request.method, verb, len(arguments)))
        if found is None or not endpoint or not all(arguments):
            valid = ", ".join(f"{method} /v2/ENDPOINT/{name}" for method, name, _ in self._routes)
            message = f"There is no route {request.method} {request.scope['path'][:200]}."
            raise NotFound(NO_SUCH_ROUTE, message, valid=valid)
        scope, handler = found
        require(principal, scope, endpoint=endpoint)
        return await handler(request, principal, endpoint, *arguments)


def _parts(request: Request) -> list[str]:
    path: str = request.scope["path"]
    return path.removeprefix(PREFIX).split("/")


def _verb(request: Request) -> str:
    return "".join(_parts(request)[1:2])


def _refused(error: SeatrialError) -> Response:
    status = _WORDS.get(error.error_type) or status_of(error)
    if isinstance(error, BadInput) and status == 422:
        status = 400
    return refusal(dialect.refusal(error), status, error)
