"""ports.topics.TopicStore on the database: each method is one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.failures import is_taken
from seatrial.adapters.sql.fan_out import fan_out, to_subscription
from seatrial.adapters.sql.outbox_rows import post_deliveries
from seatrial.adapters.sql.schema import subscriptions, topics
from seatrial.domain.limits import TOPIC_SUBSCRIPTIONS_MAX
from seatrial.domain.topics import Publication, Subscription, Topic, confirmation
from seatrial.ports.topics import TooManySubscriptions


class SqlTopics:
    """The topics of the database that the jobs are in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, topic: Topic) -> Topic:
        """See the port."""
        try:
            await self._database.write(lambda connection: connection.execute(insert(topics), asdict(topic)))
        except IntegrityError as error:
            if not is_taken(error):
                raise
        return await self.topic(topic.arn) or topic

    async def topic(self, arn: str) -> Topic | None:
        """See the port."""
        found = await self._topics(select(topics).where(topics.c.arn == arn))
        return found[0] if found else None

    async def topics(self, owner: str) -> list[Topic]:
        """See the port."""
        return await self._topics(select(topics).where(topics.c.owner == owner))

    async def set_topic(self, arn: str, attributes: Mapping[str, str]) -> None:
        """See the port."""
        statement = update(topics).where(topics.c.arn == arn).values(attributes=dict(attributes))
        await self._database.write(lambda connection: connection.execute(statement))

    async def remove_topic(self, arn: str) -> None:
        """See the port."""
        statement = delete(topics).where(topics.c.arn == arn)
        await self._database.write(lambda connection: connection.execute(statement))

    async def subscribe(self, wanted: Subscription, message_id: str, now_ms: int) -> Subscription | None:
        """See the port."""
        return await self._database.write(partial(_subscribe, wanted=wanted, message_id=message_id, now_ms=now_ms))

    async def subscription(self, arn: str) -> Subscription | None:
        """See the port."""
        found = await self._subscriptions(select(subscriptions).where(subscriptions.c.arn == arn))
        return found[0] if found else None

    async def subscriptions(self, owner: str, topic_arn: str | None = None) -> list[Subscription]:
        """See the port."""
        statement = select(subscriptions).where(subscriptions.c.owner == owner)
        if topic_arn is not None:
            statement = statement.where(subscriptions.c.topic_arn == topic_arn)
        return await self._subscriptions(statement)

    async def confirm(self, topic_arn: str, token: str) -> Subscription | None:
        """See the port."""
        meant = (subscriptions.c.topic_arn == topic_arn) & (subscriptions.c.token == token)

        def work(connection: Connection) -> Subscription | None:
            connection.execute(update(subscriptions).where(meant).values(confirmed=True))
            row = connection.execute(select(subscriptions).where(meant)).first()
            return None if row is None else to_subscription(row)

        return await self._database.write(work)

    async def set_subscription(self, arn: str, attributes: Mapping[str, str]) -> None:
        """See the port."""
        statement = update(subscriptions).where(subscriptions.c.arn == arn).values(attributes=dict(attributes))
        await self._database.write(lambda connection: connection.execute(statement))

    async def unsubscribe(self, arn: str) -> None:
        """See the port."""
        statement = delete(subscriptions).where(subscriptions.c.arn == arn)
        await self._database.write(lambda connection: connection.execute(statement))

    async def publish(self, published: Sequence[Publication]) -> list[bool]:
        """See the port."""
        return await self._database.write(partial(_publish, published=published))

    async def forget_unconfirmed(self, before_ms: int) -> int:
        """See the port."""
        unconfirmed = subscriptions.c.confirmed.is_(False) & (subscriptions.c.created_at_ms < before_ms)
        return await self._database.write(
            lambda connection: connection.execute(delete(subscriptions).where(unconfirmed)).rowcount
        )

    async def _topics(self, statement: Select[Any]) -> list[Topic]:
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return sorted(
            (Topic(**row._mapping) for row in rows), key=attrgetter("arn")
        )  # databases order text each its way

    async def _subscriptions(self, statement: Select[Any]) -> list[Subscription]:
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return sorted(map(to_subscription, rows), key=attrgetter("arn"))


def _subscribe(connection: Connection, wanted: Subscription, message_id: str, now_ms: int) -> Subscription | None:
    topic = select(topics.c.arn).where(topics.c.arn == wanted.topic_arn).with_for_update()
    if connection.execute(topic).first() is None:
        return None
    of_topic = subscriptions.c.topic_arn == wanted.topic_arn
    same = of_topic & (subscriptions.c.protocol == wanted.protocol) & (subscriptions.c.address == wanted.address)
    row = connection.execute(select(subscriptions).where(same)).first()
    if row is not None:
        wanted = to_subscription(row)
    else:
        count = connection.execute(select(func.count()).select_from(subscriptions).where(of_topic)).scalar() or 0
        if count >= TOPIC_SUBSCRIPTIONS_MAX:
            raise TooManySubscriptions
        connection.execute(insert(subscriptions), asdict(wanted))
    if not wanted.confirmed:
        post_deliveries(connection, [confirmation(wanted, message_id, now_ms)])
    return wanted


def _publish(connection: Connection, published: Sequence[Publication]) -> list[bool]:
    arns = {one.topic_arn for one in published}
    there = set(connection.scalars(select(topics.c.arn).where(topics.c.arn.in_(arns))))
    post_deliveries(connection, fan_out(connection, published))
    return [one.topic_arn in there for one in published]
