"""Topics: made, subscribed to, published to. What is published is durable before it is answered, and then told."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping

from seatrial.domain.addresses import IpNetwork
from seatrial.domain.delivery import read_webhooks
from seatrial.domain.errors import (
    INVALID_FIELD,
    SUBSCRIPTION_NOT_FOUND,
    TOPIC_NOT_FOUND,
    BadInput,
    NotFound,
)
from seatrial.domain.limits import (
    SUBSCRIPTION_CONFIRM_HOURS,
    TOPIC_MESSAGE_BYTES_MAX,
    TOPIC_SUBSCRIPTIONS_MAX,
    TOPICS_MAX,
)
from seatrial.domain.topics import PROTOCOLS, Publication, Subscription, Topic, topic_arn
from seatrial.engine.bells import OUTBOX, Bells
from seatrial.ports.clock import Clock
from seatrial.ports.topics import TooManySubscriptions, TopicStore

MessageAttributes = Mapping[str, Mapping[str, str]]


class Topics:
    """What doors and the engine's own parts do with topics. Each owner sees their own only."""

    def __init__(
        self, store: TopicStore, bells: Bells, clock: Clock, *, region: str, receivers: tuple[IpNetwork, ...]
    ) -> None:
        """`receivers`: networks that are not public and that subscribers may be in."""
        self._store = store
        self._bells = bells
        self._clock = clock
        self._region = region
        self._receivers = receivers

    # ------------------------------------------------------------ topics

    async def create(self, owner: str, name: str, attributes: Mapping[str, str] | None = None) -> Topic:
        """Make a topic, or find the one that is there. Raises BadInput."""
        wanted = Topic(topic_arn(self._region, owner, name), owner, self._clock.now_ms(), dict(attributes or {}))
        if await self._store.topic(wanted.arn) is None and len(await self._store.topics(owner)) >= TOPICS_MAX:
            raise BadInput(INVALID_FIELD, f"There are {TOPICS_MAX} topics already.", valid=f"at most {TOPICS_MAX}")
        return await self._store.create(wanted)

    async def topic(self, owner: str, arn: str) -> Topic:
        """Raises NotFound."""
        found = await self._store.topic(arn)
        if found is None or found.owner != owner:
            raise _no_topic(arn)
        return found

    async def topics(self, owner: str) -> list[Topic]:
        """All, by ARN."""
        return await self._store.topics(owner)

    async def set_topic(self, owner: str, arn: str, name: str, value: str) -> None:
        """Set an attribute; an empty value removes it. Raises NotFound."""
        topic = await self.topic(owner, arn)
        await self._store.set_topic(arn, _with(topic.attributes, name, value))

    async def remove_topic(self, owner: str, arn: str) -> None:
        """Remove it with its subscriptions, where it is there."""
        found = await self._store.topic(arn)
        if found is not None and found.owner == owner:
            await self._store.remove_topic(arn)

    # ------------------------------------------------------------ subscriptions

    async def subscribe(
        self, owner: str, arn: str, protocol: str, address: str, attributes: Mapping[str, str] | None = None
    ) -> Subscription:
        """Ask an address to confirm that it wants to be told. Raises BadInput, NotFound."""
        topic = await self.topic(owner, arn)
        if protocol not in PROTOCOLS:
            message = f"Subscriptions by {protocol!r} are not offered here."
            raise BadInput(INVALID_FIELD, message, field="Protocol", valid=", ".join(PROTOCOLS))
        if not address.startswith(f"{protocol}://"):
            raise BadInput(INVALID_FIELD, f"{address[:200]!r} does not begin with {protocol}://.", field="Endpoint")
        read_webhooks([address], allow=self._receivers, field="Endpoint")
        now_ms = self._clock.now_ms()
        await self._store.forget_unconfirmed(now_ms - SUBSCRIPTION_CONFIRM_HOURS * 3_600_000)
        wanted = Subscription(
            arn=f"{topic.arn}:{uuid.uuid4()}",
            topic_arn=topic.arn,
            owner=owner,
            protocol=protocol,
            address=address,
            confirmed=False,
            token=secrets.token_hex(64),
            created_at_ms=now_ms,
            attributes=dict(attributes or {}),
        )
        try:
            made = await self._store.subscribe(wanted, str(uuid.uuid4()), now_ms)
        except TooManySubscriptions:
            message = f"The topic has {TOPIC_SUBSCRIPTIONS_MAX} subscriptions already."
            raise BadInput(INVALID_FIELD, message, valid=f"at most {TOPIC_SUBSCRIPTIONS_MAX}") from None
        if made is None:
            raise _no_topic(arn)
        self._bells.ring(OUTBOX)
        return made

    async def subscription(self, owner: str, arn: str) -> Subscription:
        """Raises NotFound."""
        found = await self._store.subscription(arn)
        if found is None or found.owner != owner:
            raise _no_subscription(arn)
        return found

    async def addressee(self, arn: str) -> tuple[Topic, Subscription] | None:
        """Whom a message to a subscription is for; None: it is gone, or its topic is."""
        found = await self._store.subscription(arn)
        topic = None if found is None else await self._store.topic(found.topic_arn)
        return None if found is None or topic is None else (topic, found)

    async def subscriptions(self, owner: str, arn: str | None = None) -> list[Subscription]:
        """All, or those of one topic. Raises NotFound: there is no such topic."""
        if arn is not None:
            await self.topic(owner, arn)
        return await self._store.subscriptions(owner, arn)

    async def confirm(self, arn: str, token: str) -> Subscription:
        """Whoever has the token has read what was sent to the address. Raises NotFound."""
        found = await self._store.confirm(arn, token)
        if found is None:
            raise NotFound(SUBSCRIPTION_NOT_FOUND, "There is no subscription of this token.", field="Token")
        return found

    async def set_subscription(self, owner: str, arn: str, name: str, value: str) -> None:
        """Set an attribute; an empty value removes it. Raises NotFound."""
        subscription = await self.subscription(owner, arn)
        await self._store.set_subscription(arn, _with(subscription.attributes, name, value))

    async def unsubscribe(self, owner: str, arn: str) -> None:
        """Remove it, where it is there; what is on its way to it is not told any more."""
        found = await self._store.subscription(arn)
        if found is not None and found.owner == owner:
            await self._store.unsubscribe(arn)

    async def leave(self, arn: str, token: str) -> None:
        """A subscriber ends its own subscription, by the token that it was sent. Raises NotFound."""
        found = await self._store.subscription(arn)
        if found is None or found.token != token:
            raise _no_subscription(arn)
        await self._store.unsubscribe(arn)

    # ------------------------------------------------------------ publishing

    async def publish(
        self,
        owner: str,
        arn: str,
        message: str,
        subject: str | None = None,
        attributes: MessageAttributes | None = None,
    ) -> str:
        """Tell every confirmed subscriber, at least once; the message's id. Durable when this returns.

        Raises:
            BadInput: too large, or empty.
            NotFound: no such topic.
        """
        await self.topic(owner, arn)
        _check(message)
        published = Publication(str(uuid.uuid4()), arn, self._clock.now_ms(), message, subject, dict(attributes or {}))
        if not all(await self._store.publish([published])):
            raise _no_topic(arn)
        self._bells.ring(OUTBOX)
        return published.message_id


def _check(message: str) -> None:
    if not message:
        raise BadInput(INVALID_FIELD, "The message is empty.", field="Message", valid="a text")
    if len(message.encode()) > TOPIC_MESSAGE_BYTES_MAX:
        valid = f"at most {TOPIC_MESSAGE_BYTES_MAX:,} bytes"
        raise BadInput(INVALID_FIELD, "The message is too long.", field="Message", valid=valid)


def _with(attributes: Mapping[str, str], name: str, value: str) -> dict[str, str]:
    rest = {key: one for key, one in attributes.items() if key != name}
    return {**rest, name: value} if value else rest


def _no_topic(arn: str) -> NotFound:
    return NotFound(TOPIC_NOT_FOUND, f"There is no topic {arn[:300]!r}.")


def _no_subscription(arn: str) -> NotFound:
    return NotFound(SUBSCRIPTION_NOT_FOUND, f"There is no subscription {arn[:400]!r}.")
