"""Who hears of what is published to a topic: those whose subscription is confirmed when it is published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from seatrial.adapters.sql.schema import subscriptions
from seatrial.domain.delivery import Delivery
from seatrial.domain.topics import Publication, Subscription, notification

_CONFIRMED = (
    select(subscriptions)
    .where(subscriptions.c.topic_arn.in_(bindparam("arns", expanding=True)), subscriptions.c.confirmed)
    .order_by(subscriptions.c.created_at_ms, subscriptions.c.arn)
)


def fan_out(connection: Connection, published: Sequence[Publication]) -> list[Delivery]:
    """A delivery of each publication to each subscriber of its topic."""
    arns = sorted({one.topic_arn for one in published})
    found = [to_subscription(row) for row in connection.execute(_CONFIRMED, {"arns": arns})]
    return [notification(one, to) for one in published for to in found if to.topic_arn == one.topic_arn]


def to_subscription(row: Row[Any]) -> Subscription:
    """The subscription of a row."""
    return Subscription(**row._mapping)
