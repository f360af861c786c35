"""Topics and who subscribes to them; what is published goes into the outbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from seatrial.domain.topics import Publication, Subscription, Topic


class TooManySubscriptions(Exception):
    """A topic has as many subscriptions as it may have."""


class TopicStore(Protocol):
    """Each method is one durable transaction, and may raise `ports.storage.StoreUnavailable`."""

    async def create(self, topic: Topic) -> Topic:
        """Make it, unless one of that ARN is there: the one that is there then."""
        ...

    async def topic(self, arn: str) -> Topic | None:
        """By its ARN."""
        ...

    async def topics(self, owner: str) -> list[Topic]:
        """All of an owner, by ARN."""
        ...

    async def set_topic(self, arn: str, attributes: Mapping[str, str]) -> None:
        """Replace its attributes; of a topic that is gone nothing is kept."""
        ...

    async def remove_topic(self, arn: str) -> None:
        """Remove it and its subscriptions, where it is there."""
        ...

    async def subscribe(self, wanted: Subscription, message_id: str, now_ms: int) -> Subscription | None:
        """Make it, and put the question to confirm it into the outbox under that id; None: the topic is gone.

        Where the same address has one already, that one: it is asked again unless it is confirmed.

        Raises:
            TooManySubscriptions
        """
        ...

    async def subscription(self, arn: str) -> Subscription | None:
        """By its ARN."""
        ...

    async def subscriptions(self, owner: str, topic_arn: str | None = None) -> list[Subscription]:
        """All of an owner, or of one topic, by ARN."""
        ...

    async def confirm(self, topic_arn: str, token: str) -> Subscription | None:
        """Confirm the subscription of that token; None: there is none."""
        ...

    async def set_subscription(self, arn: str, attributes: Mapping[str, str]) -> None:
        """Replace its attributes; of one that is gone nothing is kept."""
        ...

    async def unsubscribe(self, arn: str) -> None:
        """Remove it, where it is there."""
        ...

    async def publish(self, published: Sequence[Publication]) -> list[bool]:
        """Put what each subscriber is to be told into the outbox; False where the topic is gone."""
        ...

    async def forget_unconfirmed(self, before_ms: int) -> int:
        """Remove what was asked for before that and never confirmed; how many."""
        ...
