"""Deliveries of webhooks: what was told to whom, what came of it, and once more."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.delivery import Attempt, Delivery, DeliveryFilter, DeliveryState
from seatrial.domain.errors import DELIVERY_NOT_FOUND, NotFound
from seatrial.domain.limits import LIST_PAGE_MAX
from seatrial.http.api.views import instant, maybe_instant
from seatrial.http.auth import caller, needs
from seatrial.http.services import Services


class AttemptView(BaseModel):
    """One try."""

    number: int
    at: str
    duration_ms: int
    status: int | None = Field(None, description="Of the receiver's answer; null: there was none.")
    answer: str = Field("", description="The first 500 characters of its body.")
    error: str | None = Field(None, description="Why there was no answer.")

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptView:
        """The view of a try."""
        return cls(
            number=attempt.number,
            at=instant(attempt.at_ms),
            duration_ms=attempt.duration_ms,
            status=attempt.status,
            answer=attempt.answer,
            error=attempt.error,
        )


class DeliveryView(BaseModel):
    """One notification on its way."""

    id: str = Field(description="Its webhook-id, the same at each try.")
    job_id: str
    endpoint: str
    kind: str
    url: str
    event: str
    status: DeliveryState
    tries: int = Field(description="Since it was last made pending.")
    created_at: str
    next_try_at: str | None = None
    ended_at: str | None = None

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryView:
        """The view of a delivery."""
        return cls(**_members(delivery))


class DeliveryDetails(DeliveryView):
    """A delivery with what it says and every try."""

    body: str
    attempts: list[AttemptView]

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryDetails:
        """The whole view of a delivery."""
        attempts = [AttemptView.of(one) for one in delivery.attempts]
        return cls(**_members(delivery), body=delivery.body, attempts=attempts)


class DeliveryPage(BaseModel):
    """Deliveries, newest first. `next` is the `before` of the page that follows; null at the end."""

    deliveries: list[DeliveryView]
    next: str | None = None


class DeliveryQuery(BaseModel):
    """Which deliveries to list."""

    model_config = ConfigDict(extra="forbid")

    job: str | None = Field(None, description="Only of this job.")
    endpoint: str | None = Field(None, description="Only of this endpoint.")
    status: DeliveryState | None = Field(None, description="Only with this status.")
    before: str | None = Field(None, description="The `next` of the page before.")
    limit: int = Field(50, ge=1, le=LIST_PAGE_MAX)


class DeliveryRoutes:
    """What people and tools do with deliveries."""

    def __init__(self, services: Services) -> None:
        self._deliverer = services.deliverer

    def router(self) -> APIRouter:
        """The routes, under /v1/deliveries."""
        router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])
        look = [needs(KeyScope.READ)]
        router.add_api_route("", self.list, methods=["GET"], summary="List deliveries, newest first", dependencies=look)
        router.add_api_route(
            "/{id}", self.show, methods=["GET"], summary="Show a delivery with every try", dependencies=look
        )
        router.add_api_route(
            "/{id}/replay",
            self.replay,
            methods=["POST"],
            status_code=202,
            summary="Deliver it again",
            dependencies=[needs(KeyScope.SUBMIT)],
        )
        return router

    async def list(self, request: Request, asked: Annotated[DeliveryQuery, Query()]) -> DeliveryPage:
        """Deliveries of the last days; those that ended a week ago are forgotten."""
        principal = caller(request)
        require(principal, KeyScope.READ, endpoint=asked.endpoint)
        within = principal.endpoints
        which = DeliveryFilter(asked.job, asked.endpoint, asked.status, asked.before, asked.limit, within)
        found = await self._deliverer.deliveries(which)
        further = found[-1].id if len(found) == asked.limit else None
        return DeliveryPage(deliveries=[DeliveryView.of(one) for one in found], next=further)

    async def show(self, id: str, request: Request) -> DeliveryDetails:
        """What it says, and what each try brought."""
        return DeliveryDetails.of(await self._reached(id, caller(request)))

    async def replay(self, id: str, request: Request) -> DeliveryDetails:
        """It is due at once, under the same id, with all its tries before it again."""
        await self._reached(id, caller(request))
        return DeliveryDetails.of(await self._deliverer.replay(id))

    async def _reached(self, id: str, principal: Principal) -> Delivery:
        """A delivery about an endpoint out of reach is as unknown as one that never was."""
        delivery = await self._deliverer.delivery(id)
        if not principal.reaches(delivery.endpoint_name):
            raise NotFound(DELIVERY_NOT_FOUND, f"There is no delivery {id!r}.")
        return delivery


def _members(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "job_id": delivery.job_id,
        "endpoint": delivery.endpoint_name,
        "kind": delivery.target.kind.value,
        "url": delivery.target.address,
        "event": delivery.event,
        "status": delivery.state,
        "tries": delivery.tries,
        "created_at": instant(delivery.created_at_ms),
        "next_try_at": maybe_instant(delivery.next_at_ms),
        "ended_at": maybe_instant(delivery.ended_at_ms),
    }
