"""Find the route, see who calls, and let every error leave as Cog's clients read them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from seatrial import __version__
from seatrial.domain import errors
from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope
from seatrial.domain.errors import NotFound, SeatrialError
from seatrial.http.auth import authenticate
from seatrial.http.dialects.cog import status as dialect
from seatrial.http.dialects.cog.openapi import openapi
from seatrial.http.doors.answers import json_response, ours, refusal
from seatrial.http.doors.cog.documents import Documents
from seatrial.http.doors.cog.health import VERSION, health
from seatrial.http.doors.cog.predictions import Call, Capacity, PredictionRoutes
from seatrial.http.doors.cog.tasks import predict_task, train_task
from seatrial.http.doors.request_body import RequestBody
from seatrial.http.doors.studio.admission import admit
from seatrial.http.errors import METHOD_NOT_ALLOWED, NO_SUCH_ROUTE, NOT_OFFERED, status_of
from seatrial.http.services import Services

PREFIX = "/cog/"
ID = "{prediction_id}"
Handler = Callable[..., Awaitable[Response]]
_STATUS = {METHOD_NOT_ALLOWED: 405, NOT_OFFERED: 501, errors.QUEUE_FULL: 409}


def speaks_cog(scope: Scope) -> bool:
    """True for requests under /cog/ENDPOINT; signed ones are of a bucket of that name."""
    path: str = scope["path"]
    return path.startswith(PREFIX)


class _Routes:
    """What is answered for an endpoint, by method and path."""

    def __init__(self, services: Services, capacity: Capacity) -> None:
        self._services = services
        self._capacity = capacity
        documents = Documents(
            services.inspector,
            services.objects,
            services.streams,
            services.logs,
            services.keyring,
            services.base_url,
            services.home,
        )
        made = PredictionRoutes(services, documents, capacity)
        self.routes: dict[tuple[str, str], tuple[KeyScope, Handler]] = {
            ("GET", "/"): (KeyScope.READ, self._root),
            ("GET", "/health-check"): (KeyScope.READ, self._health),
            ("GET", "/openapi.json"): (KeyScope.READ, self._openapi),
            ("GET", "/docs"): (KeyScope.READ, self._docs),
            ("POST", "/shutdown"): (KeyScope.ADMIN, self._shutdown),
        }
        for place in ("/predictions", "/trainings"):
            self.routes |= {
                ("POST", place): (KeyScope.SUBMIT, made.create),
                ("PUT", f"{place}/{ID}"): (KeyScope.SUBMIT, made.put),
                ("GET", f"{place}/{ID}"): (KeyScope.READ, made.show),
                ("POST", f"{place}/{ID}/cancel"): (KeyScope.SUBMIT, made.cancel),
            }

    def find(self, method: str, path: str) -> tuple[KeyScope, Handler, list[str]]:
        """Who may, what answers, and the id in the path. Raises NotFound."""
        place, shown_id = path, []
        steps = path.split("/")
        if len(steps) in (3, 4) and steps[1] in ("predictions", "trainings") and steps[2]:
            shown_id = [steps[2]]
            place = "/".join([*steps[:2], ID, *steps[3:]])
        found = self.routes.get((method, place))
        if found is None:
            message = f"There is no route {method} {path[:200]}."
            allowed = [one for one, where in self.routes if where == place]
            if allowed:
                raise NotFound(METHOD_NOT_ALLOWED, message, valid=", ".join(allowed))
            valid = ", ".join(f"{one} {where}" for one, where in self.routes)
            raise NotFound(NO_SUCH_ROUTE, message, valid=valid)
        return (*found, shown_id)

    async def _root(self, call: Call) -> Response:
        contract = await self._services.deployer.contract(call.endpoint)
        return json_response(dialect.root(VERSION, train_task(contract) is not None))

    async def _health(self, call: Call) -> Response:
        return json_response(await health(self._services, call.endpoint, self._capacity))

    async def _openapi(self, call: Call) -> Response:
        contract = await self._services.deployer.contract(call.endpoint)
        document = openapi(contract, predict_task(contract), train_task(contract), __version__)
        return json_response(document)

    async def _docs(self, call: Call) -> Response:
        return RedirectResponse("openapi.json")

    async def _shutdown(self, call: Call) -> Response:
        message = "A server with other endpoints and jobs is not shut down by this route."
        remedy = "Stop the server itself, or take the endpoint away: seatrial endpoints delete NAME"
        raise SeatrialError(NOT_OFFERED, message, details={"remedy": remedy})


class CogDoor:
    """An ASGI application for one endpoint. `keyless`: whoever reaches it on this machine needs no key."""

    def __init__(self, services: Services, endpoint_name: str, *, keyless: bool, capacity: Capacity) -> None:
        self._routes = _Routes(services, capacity)
        self._keyring = services.keyring
        self._keyless = keyless
        self._endpoint_name = endpoint_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            await _edge(scope, receive, send, self._answer)

    async def _answer(self, request: Request) -> Response:
        path: str = request.scope["path"]
        scope, handler, arguments = self._routes.find(request.method, path)
        principal = admit(request, self._keyring, keyless=self._keyless)
        require(principal, scope, endpoint=self._endpoint_name)
        call = Call(request, principal, self._endpoint_name, path.startswith("/trainings"))
        return await handler(call, *arguments)


class CogPaths:
    """An ASGI application for every endpoint, each under /cog/ENDPOINT."""

    def __init__(self, services: Services, capacity: Capacity) -> None:
        self._routes = _Routes(services, capacity)
        self._keyring = services.keyring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await _edge(scope, receive, send, self._answer)

    async def _answer(self, request: Request) -> Response:
        whole: str = request.scope["path"]
        endpoint, _, rest = whole.removeprefix(PREFIX).partition("/")
        path = f"/{rest}"
        scope, handler, arguments = self._routes.find(request.method, path)
        principal = authenticate(request, self._keyring)
        require(principal, scope, endpoint=endpoint)
        call = Call(request, principal, endpoint, path.startswith("/trainings"))
        return await handler(call, *arguments)


async def _edge(scope: Scope, receive: Receive, send: Send, answer: Callable[[Request], Awaitable[Response]]) -> None:
    body = RequestBody(scope, receive)
    request = Request(scope, body.receive)
    try:
        response = await answer(request)
    except ClientDisconnect:
        return
    except Exception as error:  # noqa: BLE001 - the named edge of this door
        response = _refused(ours(request, error))
    await body.answer(response, send)


def _refused(error: SeatrialError) -> Response:
    return refusal(dialect.refusal(error), _STATUS.get(error.error_type) or status_of(error), error)
