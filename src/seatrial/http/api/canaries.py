"""Canaries on demand, and the history of an endpoint."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from seatrial.domain.credentials import KeyScope
from seatrial.domain.history import EndpointEvent, EventFilter, EventKind
from seatrial.domain.limits import LIST_PAGE_MAX
from seatrial.http.api.views import CanaryView, instant
from seatrial.http.auth import needs
from seatrial.http.services import Services


class EventView(BaseModel):
    """Something that happened to an endpoint."""

    id: str
    at: str
    kind: EventKind
    what: str = Field(
        description="The status that began, how a canary ended, out or in (scaling), stale or holds (report)."
    )
    version: int | None = Field(None, description="The number of the version that it was about.")
    message: str = ""
    details: dict[str, Any] = {}

    @classmethod
    def of(cls, event: EndpointEvent, version: int | None) -> EventView:
        """The view of an event."""
        return cls(
            id=event.id,
            at=instant(event.at_ms),
            kind=event.kind,
            what=event.word,
            version=version,
            message=event.message,
            details=dict(event.details),
        )


class EventPage(BaseModel):
    """Events, newest first. `next` is the `before` of the page that follows; null at the end."""

    events: list[EventView]
    next: str | None = None


class EventQuery(BaseModel):
    """Which events to list."""

    model_config = ConfigDict(extra="forbid")

    kind: EventKind | None = Field(None, description="Only of this kind.")
    before: str | None = Field(None, description="The `next` of the page before.")
    limit: int = Field(50, ge=1, le=LIST_PAGE_MAX)


class CanaryRoutes:
    """What people and tools do with canaries."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def router(self) -> APIRouter:
        """The routes, under /v1/endpoints/{name}."""
        router = APIRouter(prefix="/v1/endpoints/{name}", tags=["endpoints"])
        router.add_api_route(
            "/canary",
            self.ask,
            methods=["POST"],
            status_code=202,
            summary="Run a canary now",
            dependencies=[needs(KeyScope.DEPLOY)],
        )
        router.add_api_route(
            "/history",
            self.history,
            methods=["GET"],
            summary="What happened to an endpoint",
            dependencies=[needs(KeyScope.READ, KeyScope.DEPLOY)],
        )
        return router

    async def ask(self, name: str) -> CanaryView | None:
        """The quickest sample of every task runs again, on the version in service; `canary` of the endpoint shows
        how it ends. null: the endpoint had left service, and its last version is on trial again."""
        canaries = self._services.canaries
        await canaries.ask(name)
        endpoint = await self._services.deployer.endpoint(name)
        canary = canaries.last(endpoint)
        return CanaryView.of(canary) if canary is not None and endpoint.target_version is None else None

    async def history(self, name: str, asked: Annotated[EventQuery, Query()]) -> EventPage:
        """Its statuses with their reasons, its canaries and its scaling, newest first; of 1,000 the oldest go."""
        deployer = self._services.deployer
        endpoint = await deployer.endpoint(name)
        numbers = {version.id: version.number for version in await deployer.versions(name)}
        which = EventFilter(endpoint.id, asked.kind, asked.before, asked.limit)
        found = await self._services.registry.events(which)
        events = [EventView.of(event, numbers.get(event.version_id or "")) for event in found]
        return EventPage(events=events, next=found[-1].id if len(found) == asked.limit else None)
