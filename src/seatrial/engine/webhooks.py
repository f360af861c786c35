"""Webhooks of endpoints: added, rotated, removed. The database is asked at the start; then memory knows them all.

A secret is told once, when it is made, and kept sealed. A rotated one signs on beside the new one for a while.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, replace

import structlog

from seatrial.domain.addresses import IpNetwork
from seatrial.domain.delivery import SECRET_PREFIX, Target, read_events, read_webhooks
from seatrial.domain.errors import INVALID_FIELD, WEBHOOK_NOT_FOUND, BadInput, NotFound
from seatrial.domain.limits import WEBHOOKS_PER_ENDPOINT_MAX
from seatrial.domain.webhooks import Webhook, WebhookSecret
from seatrial.ports.clock import Clock
from seatrial.ports.registry import NotThere, Registry
from seatrial.ports.sealer import SealBroken, Sealer

log = structlog.get_logger()

KIND = "webhook"  # of the registry's documents
_SECRET_BYTES = 32
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class WebhookMade:
    """A webhook with its secret (`whsec_…`), which nobody can tell again."""

    webhook: Webhook
    secret: str


class Webhooks:
    """By endpoint."""

    def __init__(self, registry: Registry, sealer: Sealer, clock: Clock, receivers: tuple[IpNetwork, ...]) -> None:
        """`receivers`: networks that are not public and that webhooks may be in."""
        self._registry = registry
        self._sealer = sealer
        self._clock = clock
        self._receivers = receivers
        self._webhooks: dict[str, Webhook] = {}

    async def load(self) -> None:
        """Know all, at start."""
        for webhook_id, kept in await self._registry.documents(KIND):
            self._webhooks[webhook_id] = Webhook.of_document(webhook_id, kept)

    def of(self, endpoint_name: str) -> list[Webhook]:
        """Of an endpoint, oldest first."""
        own = [one for one in self._webhooks.values() if one.endpoint_name == endpoint_name]
        return sorted(own, key=lambda one: (one.created_at_ms, one.id))

    def targets(self, endpoint_name: str) -> tuple[Target, ...]:
        """Who is told of an endpoint and its jobs."""
        return tuple(one.target for one in self.of(endpoint_name)) if self._webhooks else ()

    async def add(self, endpoint_name: str, url: str, events: str | None) -> WebhookMade:
        """One more. `events`: words, separated by spaces; None: the usual ones. Raises BadInput."""
        (target,) = read_webhooks([url], allow=self._receivers, field="url")
        if len(self.of(endpoint_name)) >= WEBHOOKS_PER_ENDPOINT_MAX:
            message = f"Endpoint {endpoint_name!r} has {WEBHOOKS_PER_ENDPOINT_MAX} webhooks already."
            raise BadInput(INVALID_FIELD, message, field="url", valid=f"at most {WEBHOOKS_PER_ENDPOINT_MAX}")
        webhook_id = f"wh_{secrets.token_hex(8)}"
        secret, now_ms = _new_secret(), self._clock.now_ms()
        sealed = (WebhookSecret(self._sealer.seal(secret, webhook_id)),)
        made = Webhook(webhook_id, endpoint_name, target.address, read_events(events), now_ms, sealed)
        await self._registry.put_document(KIND, webhook_id, made.document(), now_ms)
        self._webhooks[webhook_id] = made
        return WebhookMade(made, secret)

    async def rotate(self, endpoint_name: str, webhook_id: str, overlap_hours: int) -> WebhookMade:
        """Another secret; the one before it signs too for so long. Raises NotFound."""
        webhook = self._known(endpoint_name, webhook_id)
        until_ms = self._clock.now_ms() + overlap_hours * _HOUR_MS
        secret = _new_secret()
        before = replace(webhook.secrets[0], until_ms=until_ms)
        kept = (WebhookSecret(self._sealer.seal(secret, webhook_id)), *([before] if overlap_hours else []))
        changed = replace(webhook, secrets=kept)
        await self._registry.replace_document(KIND, webhook_id, changed.document())
        self._webhooks[webhook_id] = changed
        return WebhookMade(changed, secret)

    async def remove(self, endpoint_name: str, webhook_id: str) -> None:
        """It is told nothing any more, also not what is on its way. Raises NotFound."""
        self._known(endpoint_name, webhook_id)
        await self._drop(webhook_id)

    async def forget(self, endpoint_name: str) -> None:
        """The endpoint is gone."""
        for webhook in self.of(endpoint_name):
            await self._drop(webhook.id)

    def secrets_of(self, webhook_id: str) -> tuple[str, ...]:
        """What its deliveries are signed with, the newest first; empty: it is gone."""
        webhook = self._webhooks.get(webhook_id)
        now_ms = self._clock.now_ms()
        sealed = [one for one in webhook.secrets if one.until_ms is None or one.until_ms > now_ms] if webhook else []
        try:
            return tuple(self._sealer.open(one.sealed, webhook_id) for one in sealed)
        except SealBroken:
            log.error("webhook.secret_unreadable", webhook=webhook_id)  # the sealing key is another one: rotate it
            return ()

    def _known(self, endpoint_name: str, webhook_id: str) -> Webhook:
        webhook = self._webhooks.get(webhook_id)
        if webhook is None or webhook.endpoint_name != endpoint_name:
            raise NotFound(WEBHOOK_NOT_FOUND, f"Endpoint {endpoint_name!r} has no webhook {webhook_id[:100]!r}.")
        return webhook

    async def _drop(self, webhook_id: str) -> None:
        try:
            await self._registry.remove_document(KIND, webhook_id)
        except NotThere:
            pass  # another server was first
        self._webhooks.pop(webhook_id, None)


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
