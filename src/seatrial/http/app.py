"""The one port: requests of AWS clients go to their door, everything else is the native API."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from seatrial import __version__
from seatrial.http.api.backup import BackupRoutes
from seatrial.http.api.canaries import CanaryRoutes
from seatrial.http.api.deliveries import DeliveryRoutes
from seatrial.http.api.endpoints import EndpointRoutes
from seatrial.http.api.hot import HotRoutes
from seatrial.http.api.jobs import JobRoutes
from seatrial.http.api.keys import KeyRoutes
from seatrial.http.api.logs import LogRoutes
from seatrial.http.api.openapi import openapi_route
from seatrial.http.api.page import docs_page
from seatrial.http.api.scaling import ScalingRoutes
from seatrial.http.api.trials import TrialRoutes
from seatrial.http.api.triggers import TriggerRoutes
from seatrial.http.api.uploads import UploadRoutes
from seatrial.http.api.webhooks import WebhookRoutes
from seatrial.http.auth import Needs, authenticate
from seatrial.http.doors.aws import AwsDoor, is_signed, speaks_aws
from seatrial.http.doors.cog import Capacity, CogPaths, speaks_cog
from seatrial.http.doors.lambda_runtime import RuntimeDoor, speaks_runtime
from seatrial.http.doors.runpod import RunpodDoor, speaks_runpod
from seatrial.http.doors.sns import SnsLinks, is_sns_link
from seatrial.http.errors import handle_errors
from seatrial.http.health import Health
from seatrial.http.metrics import Metrics
from seatrial.http.services import Services


def build_app(services: Services, cog_capacity: Capacity = Capacity.QUEUE) -> ASGIApp:
    """The ASGI application with every door."""
    native = build_native(services)
    aws = AwsDoor(services)
    runpod = RunpodDoor(services)
    runtime = RuntimeDoor(services)
    hot = HotRoutes(services)
    cog = CogPaths(services, cog_capacity)
    sns_links = SnsLinks(services)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await native(scope, receive, send)
        elif speaks_runpod(scope):
            await runpod(scope, receive, send)
        elif speaks_runtime(scope):
            await runtime(scope, receive, send)
        elif is_sns_link(scope):
            await sns_links(scope, receive, send)
        elif speaks_cog(scope) and not is_signed(scope):
            await cog(scope, receive, send)
        elif speaks_aws(scope):
            await aws(scope, receive, send)
        elif handler := hot.find(scope):
            await hot.answer(handler, scope, receive, send)
        else:
            await native(scope, receive, send)

    return app


def build_native(services: Services) -> FastAPI:
    """The native API, its documentation, the health page and the metrics."""
    app = FastAPI(
        title="Seatrial",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        routes=[
            Route("/healthz", Health(services).answer, methods=["GET"]),
            Route("/metrics", Metrics(services).answer, methods=["GET"]),
            Route("/docs", docs_page, methods=["GET"]),
            Route("/", _to_docs, methods=["GET"]),
        ],
    )

    async def authenticated(request: Request) -> None:
        request.state.principal = authenticate(request, services.keyring)

    for part in (
        EndpointRoutes,
        TrialRoutes,
        CanaryRoutes,
        ScalingRoutes,
        LogRoutes,
        JobRoutes,
        DeliveryRoutes,
        WebhookRoutes,
        UploadRoutes,
        KeyRoutes,
        TriggerRoutes,
        BackupRoutes,
    ):
        app.include_router(_guarded(part(services).router()), dependencies=[Depends(authenticated)])
    app.router.routes.append(openapi_route(app))
    handle_errors(app)
    return app


def _guarded(router: APIRouter) -> APIRouter:
    """The router, each route of which says what its caller needs."""
    for route in router.routes:
        if not isinstance(route, APIRoute) or not any(isinstance(one.dependency, Needs) for one in route.dependencies):
            raise TypeError(f"{route} does not say which scope it needs: add dependencies=[needs(KeyScope.…)]")
    return router


async def _to_docs(request: Request) -> Response:
    return RedirectResponse("/docs")
