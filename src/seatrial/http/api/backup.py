"""`/v1/backup`: everything that a server would need to go on elsewhere, as one stream."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from seatrial.domain.credentials import KeyScope
from seatrial.http.auth import needs
from seatrial.http.services import Services

TAR = "application/x-tar"


class BackupRoutes:
    """One route."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def router(self) -> APIRouter:
        """The route, under /v1."""
        router = APIRouter(prefix="/v1", tags=["server"])
        router.add_api_route(
            "/backup",
            self.backup,
            methods=["GET"],
            summary="Take a backup while serving",
            response_class=StreamingResponse,
            dependencies=[needs(KeyScope.ADMIN)],
            responses={
                200: {"content": {TAR: {}}, "description": "A tar; `seatrial restore` makes a data folder of it"}
            },
        )
        return router

    async def backup(self) -> StreamingResponse:
        """A consistent copy of jobs, objects, packages, weights and keys, of this moment. It holds the owner's keys:
        keep it as safe as those."""
        backup = await self._services.backups.take()
        return _Sent(backup.stream, 200, {"Content-Length": str(backup.size_bytes)}, TAR)


class _Sent(StreamingResponse):
    """A stream that is closed at once when its client goes away: until then nothing on this server is removed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            close = getattr(self.body_iterator, "aclose", None)
            if close is not None:
                await close()
