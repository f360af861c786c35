"""What is told of an endpoint beside its jobs: its statuses, and a proof that holds no more."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from seatrial.domain.delivery import Delivery, DeliveryState, Target, delivery_id
from seatrial.domain.endpoint import Endpoint, EndpointStatus
from seatrial.domain.history import EndpointEvent, EventKind

ENDPOINT = "endpoint"  # the word of webhooks' filters
_TROUBLE = frozenset({EndpointStatus.FAILED.value, EndpointStatus.ROLLING_BACK.value, "stale"})


def notice_type(event: EndpointEvent) -> str:
    """`endpoint.in_service`, `endpoint.failed`, …, `endpoint.stale`."""
    word = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", event.word).lower()
    return f"{ENDPOINT}.{word}"


def endpoint_deliveries(event: EndpointEvent, endpoint: Endpoint, targets: Sequence[Target]) -> list[Delivery]:
    """What is told to those of these who want to hear of endpoints."""
    out = event.word == EndpointStatus.FAILED and endpoint.last_version is not None and endpoint.active_version is None
    instant = datetime.fromtimestamp(event.at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = {
        "event_id": event.id,
        "endpoint": endpoint.name,
        "status": endpoint.status.value,
        "out_of_service": out,
        "message": event.message,
        "details": dict(event.details),
        "at": instant,
    }
    kind = notice_type(event)
    body = json.dumps({"type": kind, "timestamp": instant, "data": data}, ensure_ascii=False)
    return [
        Delivery(
            id=delivery_id(event.id, number),
            job_id="",
            endpoint_name=endpoint.name,
            target=target,
            event=kind,
            body=body,
            state=DeliveryState.PENDING,
            tries=0,
            created_at_ms=event.at_ms,
            next_at_ms=event.at_ms,
        )
        for number, target in enumerate(targets, 1)
        if event.kind in (EventKind.STATUS, EventKind.REPORT) and _wants(target, event)
    ]


def _wants(target: Target, event: EndpointEvent) -> bool:
    """Who names no events hears of what is wrong with an endpoint only."""
    return ENDPOINT in target.events or (target.wants(ENDPOINT) and event.word in _TROUBLE)
