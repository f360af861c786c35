"""`/metrics`: what a server counts, in the text format that Prometheus reads."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope
from seatrial.http.auth import authenticate
from seatrial.http.services import Services
from seatrial.ports.meters import EndpointFigures


class Metrics:
    """Answers whoever has an API key: names of endpoints and errors are their owner's."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def answer(self, request: Request) -> Response:
        """Every figure as it is now, of the endpoints that the key reaches."""
        services = self._services
        principal = authenticate(request, services.keyring)
        require(principal, KeyScope.READ)
        figures = []
        for endpoint in await services.deployer.endpoints():
            if not principal.reaches(endpoint.name):
                continue
            counts = await services.inspector.counts(endpoint.id)
            figures.append(
                EndpointFigures(
                    name=endpoint.name,
                    status=endpoint.status.value,
                    workers_ready=services.deployer.workers(endpoint.name),
                    workers_desired=endpoint.workers_desired,
                    jobs={state.value: count for state, count in counts.items()},
                )
            )
        body, media_type = services.meters.exposition(figures, principal.endpoints)
        return Response(body, media_type=media_type, headers={"Cache-Control": "no-store"})
