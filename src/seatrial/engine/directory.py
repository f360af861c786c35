"""The endpoints and versions of this server, at hand for every request and written through to the registry."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from seatrial.domain.addresses import PRIVATE_NETWORKS
from seatrial.domain.contract import Contract
from seatrial.domain.delivery import Delivery, Target, read_webhooks
from seatrial.domain.endpoint import Endpoint, EndpointVersion
from seatrial.domain.endpoint_notices import endpoint_deliveries
from seatrial.domain.errors import ENDPOINT_NOT_FOUND, NotFound
from seatrial.domain.history import EndpointEvent, EventKind
from seatrial.domain.limits import NAMES_SHOWN_MAX
from seatrial.engine.bells import OUTBOX, Bells
from seatrial.engine.webhooks import Webhooks
from seatrial.package.manifest import contract_from_json
from seatrial.ports.registry import Registry


@dataclass(frozen=True, slots=True)
class Deployed:
    """A version with its contract read."""

    version: EndpointVersion
    contract: Contract


class Directory:
    """Reads come from memory; each write is durable before it shows. Rings `endpoint.name` on every change."""

    def __init__(self, registry: Registry, webhooks: Webhooks, bells: Bells) -> None:
        self._registry = registry
        self._webhooks = webhooks
        self._bells = bells
        self._endpoints: dict[str, Endpoint] = {}
        self._versions: dict[str, Deployed] = {}

    async def load(self) -> None:
        """Read everything, at start."""
        for endpoint in await self._registry.endpoints():
            self._endpoints[endpoint.name] = endpoint
            for version in await self._registry.versions(endpoint.id):
                self._keep(version)

    def endpoints(self) -> list[Endpoint]:
        """All, by name."""
        return sorted(self._endpoints.values(), key=lambda endpoint: endpoint.name)

    def endpoint(self, name: str) -> Endpoint:
        """By name.

        Raises:
            NotFound: no such endpoint; names those that there are.
        """
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            known = _listed(sorted(self._endpoints))
            valid = f"one of the endpoints: {known}"
            raise NotFound(ENDPOINT_NOT_FOUND, f"There is no endpoint {name!r}.", field="endpoint", valid=valid)
        return endpoint

    def has(self, name: str) -> bool:
        """Whether an endpoint has that name."""
        return name in self._endpoints

    def version(self, version_id: str) -> Deployed:
        """By id.

        Raises:
            NotFound: no such version (its endpoint was deleted).
        """
        deployed = self._versions.get(version_id)
        if deployed is None:
            raise NotFound(ENDPOINT_NOT_FOUND, f"There is no version {version_id!r}: its endpoint was deleted.")
        return deployed

    def versions(self, endpoint_id: str) -> list[EndpointVersion]:
        """Of one endpoint, oldest first."""
        own = (one.version for one in self._versions.values() if one.version.endpoint_id == endpoint_id)
        return sorted(own, key=lambda version: version.number)

    async def create(self, endpoint: Endpoint, version: EndpointVersion) -> None:
        """A new endpoint with its first version. Raises AlreadyThere."""
        await self._registry.create_endpoint(endpoint, version, [_began(endpoint)])
        self._endpoints[endpoint.name] = endpoint
        self._keep(version)
        self._bells.ring(endpoint.name)

    async def add_version(self, version: EndpointVersion) -> None:
        """Another version of an endpoint."""
        await self._registry.add_version(version)
        self._keep(version)

    async def save_endpoint(
        self, endpoint: Endpoint, events: Sequence[EndpointEvent] = (), deliveries: Sequence[Delivery] = ()
    ) -> None:
        """The endpoint is now so: a new status is an event of its history, beside those that led to it."""
        before = self._endpoints.get(endpoint.name)
        changed = before is None or before.status is not endpoint.status
        began = _began(endpoint) if changed else None
        told = () if began is None else self._told(began, endpoint)
        await self._registry.save_endpoint(
            endpoint, [*events, *([] if began is None else [began])], [*deliveries, *told]
        )
        self._endpoints[endpoint.name] = endpoint
        self._bells.ring(endpoint.name)
        if told:
            self._bells.ring(OUTBOX)

    def told(self, endpoint_name: str, version: EndpointVersion) -> tuple[Target, ...]:
        """Who is told of an endpoint, when this version is the one that matters."""
        settings = version.settings
        own = read_webhooks(settings.webhooks, allow=PRIVATE_NETWORKS, events=frozenset(settings.webhook_events))
        return (*own, *self._webhooks.targets(endpoint_name))

    def _told(self, event: EndpointEvent, endpoint: Endpoint) -> list[Delivery]:
        deployed = self._versions.get(event.version_id or "")
        targets = () if deployed is None else self.told(endpoint.name, deployed.version)
        return endpoint_deliveries(event, endpoint, targets)

    async def note(self, event: EndpointEvent) -> None:
        """Keep what happened, and tell it; an event that is kept already adds nothing, and is not told again."""
        endpoint = next((one for one in self._endpoints.values() if one.id == event.endpoint_id), None)
        await self._registry.add_events([event], () if endpoint is None else self._told(event, endpoint))
        self._bells.ring(OUTBOX)

    async def save_version(self, version: EndpointVersion) -> None:
        """The version is now so."""
        await self._registry.save_version(version)
        self._keep(version)
        self._bells.ring(version.endpoint_name)

    def show(self, version: EndpointVersion) -> None:
        """The version as it is for now: how far a stage is. Not kept over a restart."""
        self._keep(version)
        self._bells.ring(version.endpoint_name)

    async def remove(self, endpoint: Endpoint) -> None:
        """The endpoint is gone."""
        await self._registry.remove_endpoint(endpoint.id)
        await self._webhooks.forget(endpoint.name)
        del self._endpoints[endpoint.name]
        for version in self.versions(endpoint.id):
            del self._versions[version.id]
        self._bells.ring(endpoint.name)

    def _keep(self, version: EndpointVersion) -> None:
        self._versions[version.id] = Deployed(version, contract_from_json(version.contract))


def _began(endpoint: Endpoint) -> EndpointEvent:
    version_id = endpoint.target_version or endpoint.active_version or endpoint.last_version
    return EndpointEvent(
        id=str(uuid.uuid4()),
        endpoint_id=endpoint.id,
        version_id=version_id,
        at_ms=endpoint.modified_at_ms,
        kind=EventKind.STATUS,
        word=endpoint.status.value,
        message=endpoint.failure_reason or "",
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN_MAX} more" if len(names) > NAMES_SHOWN_MAX else ""
    return ", ".join(names[:NAMES_SHOWN_MAX]) + more or "none yet"
