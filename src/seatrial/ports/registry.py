"""Where endpoints, their versions and the doors' own documents live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from seatrial.domain.delivery import Delivery
from seatrial.domain.endpoint import Endpoint, EndpointVersion
from seatrial.domain.history import EndpointEvent, EventFilter


class AlreadyThere(Exception):
    """The name is taken."""


class NotThere(Exception):
    """There is nothing of that name."""


class Registry(Protocol):
    """Each method is one durable transaction; rare writes, so no batching."""

    async def create_endpoint(
        self, endpoint: Endpoint, version: EndpointVersion, events: Sequence[EndpointEvent] = ()
    ) -> None:
        """Raises AlreadyThere: an endpoint of that name exists."""
        ...

    async def add_version(self, version: EndpointVersion) -> None:
        """Another version of an endpoint."""
        ...

    async def save_endpoint(
        self, endpoint: Endpoint, events: Sequence[EndpointEvent] = (), deliveries: Sequence[Delivery] = ()
    ) -> None:
        """Replace the endpoint's row, keep what happened with it, and put what is to be told into the outbox.

        Raises:
            NotThere
        """
        ...

    async def add_events(self, events: Sequence[EndpointEvent], deliveries: Sequence[Delivery] = ()) -> None:
        """Keep what happened, and put what is to be told of it into the outbox; may be repeated: an event that is
        there already adds nothing. Of an endpoint that is gone nothing is kept."""
        ...

    async def events(self, which: EventFilter) -> list[EndpointEvent]:
        """A page of what happened, newest first; the oldest are forgotten beyond ENDPOINT_EVENTS_KEPT."""
        ...

    async def save_version(self, version: EndpointVersion) -> None:
        """Replace the version's row. Raises NotThere."""
        ...

    async def endpoint(self, name: str) -> Endpoint | None:
        """By name."""
        ...

    async def endpoints(self) -> list[Endpoint]:
        """All, by name."""
        ...

    async def version(self, version_id: str) -> EndpointVersion | None:
        """By id."""
        ...

    async def versions(self, endpoint_id: str) -> list[EndpointVersion]:
        """Of one endpoint, oldest first."""
        ...

    async def remove_endpoint(self, endpoint_id: str) -> None:
        """The endpoint, its versions and its sessions; its jobs stay readable."""
        ...

    async def put_document(self, kind: str, name: str, body: Mapping[str, Any], now_ms: int) -> None:
        """A door's own document. Raises AlreadyThere."""
        ...

    async def save_document(self, kind: str, name: str, body: Mapping[str, Any], now_ms: int) -> None:
        """A door's own document, in the place of the one that may be there."""
        ...

    async def document(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """Its body."""
        ...

    async def documents(self, kind: str) -> list[tuple[str, Mapping[str, Any]]]:
        """All of a kind as (name, body), by name."""
        ...

    async def replace_document(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        """Another body for a document that is there. Raises NotThere."""
        ...

    async def remove_document(self, kind: str, name: str) -> None:
        """Raises NotThere."""
        ...
