"""Webhooks that an endpoint has for good, each with a secret of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.domain.delivery import Target, TargetKind


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """A secret, sealed, and until when it signs beside the newer one (milliseconds since the epoch; None: for good)."""

    sealed: str
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """Who is told of an endpoint and its jobs. `secrets`: the newest first."""

    id: str
    endpoint_name: str
    url: str
    events: frozenset[str]
    created_at_ms: int
    secrets: tuple[WebhookSecret, ...]

    @property
    def target(self) -> Target:
        """Where deliveries go."""
        return Target(TargetKind.WEBHOOK, self.url, self.events, webhook=self.id)

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "endpoint": self.endpoint_name,
            "url": self.url,
            "events": sorted(self.events),
            "created_at_ms": self.created_at_ms,
            "secrets": [{"sealed": one.sealed, "until_ms": one.until_ms} for one in self.secrets],
        }

    @classmethod
    def of_document(cls, webhook_id: str, kept: Mapping[str, Any]) -> Webhook:
        """The same, back."""
        return cls(
            id=webhook_id,
            endpoint_name=kept["endpoint"],
            url=kept["url"],
            events=frozenset(kept["events"]),
            created_at_ms=kept["created_at_ms"],
            secrets=tuple(WebhookSecret(one["sealed"], one["until_ms"]) for one in kept["secrets"]),
        )
