"""The history of endpoints as rows: added with what happened, the oldest forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from seatrial.adapters.sql.outbox_rows import post_deliveries
from seatrial.adapters.sql.schema import endpoint_events, endpoints
from seatrial.domain.delivery import Delivery
from seatrial.domain.history import EndpointEvent, EventFilter, EventKind
from seatrial.domain.limits import ENDPOINT_EVENTS_KEPT

_of_endpoint = endpoint_events.c.endpoint_id == bindparam("of_endpoint")
_OLDEST_KEPT = (
    select(endpoint_events.c.seq)
    .where(_of_endpoint)
    .order_by(endpoint_events.c.seq.desc())
    .offset(ENDPOINT_EVENTS_KEPT - 1)
    .limit(1)
)
_FORGET = delete(endpoint_events).where(_of_endpoint, endpoint_events.c.seq < bindparam("oldest"))


def add_events(connection: Connection, events: Sequence[EndpointEvent], deliveries: Sequence[Delivery]) -> None:
    """Keep what happened, and what is to be told of it. What is there already, or of an endpoint that is gone, is not
    added again."""
    if not events:
        return
    ids = [event.id for event in events]
    known = set(connection.scalars(select(endpoint_events.c.id).where(endpoint_events.c.id.in_(ids))))
    there = set(
        connection.scalars(select(endpoints.c.id).where(endpoints.c.id.in_({one.endpoint_id for one in events})))
    )
    new = [event for event in events if event.id not in known and event.endpoint_id in there]
    if not new:
        return
    connection.execute(insert(endpoint_events), [asdict(event) | {"kind": event.kind.value} for event in new])
    post_deliveries(connection, deliveries)
    for endpoint_id in {event.endpoint_id for event in new}:
        oldest = connection.execute(_OLDEST_KEPT, {"of_endpoint": endpoint_id}).scalar()
        if oldest is not None:
            connection.execute(_FORGET, {"of_endpoint": endpoint_id, "oldest": oldest})


def list_events(connection: Connection, which: EventFilter) -> list[EndpointEvent]:
    """A page, newest first."""
    page = select(endpoint_events).where(endpoint_events.c.endpoint_id == which.endpoint_id)
    page = page.order_by(endpoint_events.c.seq.desc()).limit(which.limit)
    if which.kind is not None:
        page = page.where(endpoint_events.c.kind == which.kind.value)
    if which.before is not None:
        seq = connection.execute(select(endpoint_events.c.seq).where(endpoint_events.c.id == which.before)).scalar()
        page = page.where(endpoint_events.c.seq < (-1 if seq is None else seq))
    return [_event(row) for row in connection.execute(page)]


def _event(row: Row[Any]) -> EndpointEvent:
    values = {name: value for name, value in row._mapping.items() if name != "seq"}
    return EndpointEvent(**{**values, "kind": EventKind(row.kind)})
