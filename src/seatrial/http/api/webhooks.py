"""Webhooks of an endpoint, each with a secret that is told once."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from seatrial.domain.credentials import KeyScope
from seatrial.domain.delivery import DEFAULT_EVENTS, EVENTS
from seatrial.domain.limits import URL_CHARS_MAX, WEBHOOK_OVERLAP_HOURS_DEFAULT, WEBHOOK_OVERLAP_HOURS_MAX
from seatrial.domain.webhooks import Webhook
from seatrial.engine.webhooks import WebhookMade
from seatrial.http.api.views import instant
from seatrial.http.auth import needs
from seatrial.http.services import Services


class WebhookWanted(BaseModel):
    """A webhook to be added."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=URL_CHARS_MAX, description="Where deliveries are posted.")
    events: str | None = Field(
        None,
        description=f"Of what it is told, separated by spaces: {', '.join(EVENTS)}. "
        f"Unset: {', '.join(one for one in EVENTS if one in DEFAULT_EVENTS)}.",
    )


class RotationWanted(BaseModel):
    """How a secret is replaced."""

    model_config = ConfigDict(extra="forbid")

    overlap_hours: int = Field(
        WEBHOOK_OVERLAP_HOURS_DEFAULT,
        ge=0,
        le=WEBHOOK_OVERLAP_HOURS_MAX,
        description="How long the secret before it signs as well.",
    )


class WebhookView(BaseModel):
    """A webhook, without its secret."""

    id: str
    url: str
    events: list[str]
    created_at: str

    @classmethod
    def of(cls, webhook: Webhook) -> WebhookView:
        """The view of a webhook."""
        return cls(
            id=webhook.id,
            url=webhook.url,
            events=[one for one in EVENTS if webhook.target.wants(one)],
            created_at=instant(webhook.created_at_ms),
        )


class WebhookSecretView(WebhookView):
    """A webhook with the secret that receivers verify with. It is never told again."""

    secret: str

    @classmethod
    def made(cls, made: WebhookMade) -> WebhookSecretView:
        """The view of a secret that was made now."""
        return cls(**WebhookView.of(made.webhook).model_dump(), secret=made.secret)


class WebhookPage(BaseModel):
    """All webhooks of an endpoint, oldest first."""

    webhooks: list[WebhookView]


class WebhookRoutes:
    """What people and tools do with webhooks."""

    def __init__(self, services: Services) -> None:
        self._webhooks = services.webhooks
        self._deployer = services.deployer

    def router(self) -> APIRouter:
        """The routes, under /v1/endpoints/{name}/webhooks."""
        router = APIRouter(prefix="/v1/endpoints/{name}/webhooks", tags=["webhooks"])
        look, change = [needs(KeyScope.READ, KeyScope.DEPLOY)], [needs(KeyScope.DEPLOY)]
        router.add_api_route("", self.list, methods=["GET"], summary="List an endpoint's webhooks", dependencies=look)
        router.add_api_route(
            "", self.add, methods=["POST"], status_code=201, summary="Add a webhook", dependencies=change
        )
        router.add_api_route(
            "/{id}/rotate", self.rotate, methods=["POST"], summary="Make it another secret", dependencies=change
        )
        router.add_api_route(
            "/{id}", self.remove, methods=["DELETE"], status_code=204, summary="Remove a webhook", dependencies=change
        )
        return router

    async def list(self, name: str) -> WebhookPage:
        """Those that were added here; `webhook` of a deployment is the version's own."""
        await self._deployer.endpoint(name)
        return WebhookPage(webhooks=[WebhookView.of(one) for one in self._webhooks.of(name)])

    async def add(self, name: str, wanted: WebhookWanted) -> WebhookSecretView:
        """It is told of what happens from now on, of jobs that are submitted from now on."""
        await self._deployer.endpoint(name)
        return WebhookSecretView.made(await self._webhooks.add(name, wanted.url, wanted.events))

    async def rotate(self, name: str, id: str, wanted: RotationWanted | None = None) -> WebhookSecretView:
        """The secret before it signs beside the new one for `overlap_hours`: deliveries carry both signatures."""
        overlap_hours = (wanted or RotationWanted()).overlap_hours
        return WebhookSecretView.made(await self._webhooks.rotate(name, id, overlap_hours))

    async def remove(self, name: str, id: str) -> None:
        """It is told nothing any more."""
        await self._webhooks.remove(name, id)
