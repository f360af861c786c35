"""What happened to an endpoint: statuses, canaries, scaling and its report, kept in the order of their happening."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What an event is about."""

    STATUS = "status"
    CANARY = "canary"
    SCALING = "scaling"
    REPORT = "report"  # that the version in service is proved by


@dataclass(frozen=True, slots=True)
class EndpointEvent:
    """`word` is what happened, `message` says why.

    The status that began; how a canary ended; which way it was scaled (out, in); whether its report is stale or holds.
    """

    id: str
    endpoint_id: str
    version_id: str | None
    at_ms: int  # since the epoch
    kind: EventKind
    word: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events of an endpoint a listing shows, newest first. `before` is the id of the last one of a page."""

    endpoint_id: str
    kind: EventKind | None = None
    before: str | None = None
    limit: int = 50
