"""Find the route, see who calls, and let every error leave as the protocol's clients read them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope
from seatrial.domain.errors import NotFound
from seatrial.http.dialects.studio import status as dialect
from seatrial.http.doors.answers import json_response, ours, refusal
from seatrial.http.doors.request_body import RequestBody
from seatrial.http.doors.studio.admission import admit
from seatrial.http.doors.studio.jobs import JobRoutes
from seatrial.http.errors import NO_SUCH_ROUTE, status_of
from seatrial.http.services import Services

Handler = Callable[..., Awaitable[Response]]
_ID = "{job_id}"


class StudioDoor:
    """An ASGI application. `keyless`: whoever reaches it on this machine needs no key."""

    def __init__(self, services: Services, endpoint_name: str, *, keyless: bool) -> None:
        self._keyring = services.keyring
        self._keyless = keyless
        self._endpoint_name = endpoint_name
        jobs = JobRoutes(services, endpoint_name)
        self._routes: dict[tuple[str, str], tuple[KeyScope, Handler]] = {
            ("GET", "/"): (KeyScope.READ, self._root),
            ("GET", "/health"): (KeyScope.READ, jobs.health),
            ("POST", "/inference"): (KeyScope.SUBMIT, jobs.infer),
            ("GET", f"/inference/status/{_ID}"): (KeyScope.READ, jobs.status),
            ("GET", f"/inference/result/{_ID}"): (KeyScope.READ, jobs.result),
            ("POST", "/train"): (KeyScope.SUBMIT, jobs.train),
            ("GET", f"/training/status/{_ID}"): (KeyScope.READ, jobs.status),
            ("GET", "/jobs"): (KeyScope.READ, jobs.listed),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return  # uvicorn's lifespan: nothing to do
        body = RequestBody(scope, receive)
        request = Request(scope, body.receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the named edge of this door
            known = ours(request, error)
            response = refusal(dialect.refusal(known), status_of(known), known)
        await body.answer(response, send)

    async def _answer(self, request: Request) -> Response:
        path: str = request.scope["path"]
        place, _, last = path.rpartition("/")
        found = self._routes.get((request.method, path))
        arguments = []
        if found is None and last:
            found, arguments = self._routes.get((request.method, f"{place}/{_ID}")), [last]
        if found is None:
            valid = ", ".join(f"{method} {route}" for method, route in self._routes)
            raise NotFound(NO_SUCH_ROUTE, f"There is no route {request.method} {path[:200]}.", valid=valid)
        principal = admit(request, self._keyring, keyless=self._keyless)
        scope, handler = found
        require(principal, scope, endpoint=self._endpoint_name)
        return await handler(request, principal, *arguments)

    async def _root(self, request: Request, principal: object) -> Response:
        routes = [f"{method} {route}" for method, route in self._routes]
        return json_response({"protocol": "studio", "endpoint": self._endpoint_name, "routes": routes})
