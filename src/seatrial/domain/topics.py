"""Topics: what is published to one is told to each of its subscribers.

The words and the numbers are those of Amazon SNS (API version 2010-03-31).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial.domain.delivery import Delivery, DeliveryState, Target, TargetKind
from seatrial.domain.errors import INVALID_FIELD, BadInput
from seatrial.domain.jobs import Job

CONFIRMATION = "SubscriptionConfirmation"
NOTIFICATION = "Notification"
PROTOCOLS = ("http", "https")
TOPIC_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")


@dataclass(frozen=True, slots=True)
class Topic:
    """A named place to publish to. `attributes` are those that were set."""

    arn: str
    owner: str
    created_at_ms: int
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of its ARN."""
        return self.arn.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Subscription:
    """Somebody who wants to be told; nothing but the question to confirm it is sent before it is confirmed."""

    arn: str
    topic_arn: str
    owner: str
    protocol: str
    address: str
    confirmed: bool
    token: str  # proves that whoever confirms has read what was sent to the address
    created_at_ms: int
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bool:
        """Whether it is sent the bare message, without an envelope."""
        return self.attributes.get("RawMessageDelivery", "false") == "true"


@dataclass(frozen=True, slots=True)
class Publication:
    """What is published. `message` None: it is put together from the job when it is told.

    `attributes` are SNS's message attributes: name -> {"DataType", "StringValue" or "BinaryValue"}.
    """

    message_id: str
    topic_arn: str
    at_ms: int
    message: str | None
    subject: str | None = None
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    job_id: str = ""
    endpoint_name: str = ""
    event: str = "sns.notification"
    inline: bool = False  # a small answer of the job is told along


def topic_arn(region: str, owner: str, name: str) -> str:
    """The ARN of a topic. Raises BadInput: the name is none."""
    if not TOPIC_NAME.fullmatch(name):
        valid = "1 to 256 letters, digits, hyphens and underscores; FIFO topics (.fifo) are not offered"
        raise BadInput(INVALID_FIELD, f"{name[:300]!r} cannot be a topic's name.", field="Name", valid=valid)
    return f"arn:aws:sns:{region}:{owner}:{name}"


def job_publication(job: Job, target: Target) -> Publication:
    """What is told to a topic of a job's end; the same id however often it is asked for."""
    return Publication(
        message_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"seatrial:{job.id}:{target.address}")),
        topic_arn=target.address,
        at_ms=job.ended_at_ms or 0,
        message=None,
        job_id=job.id,
        endpoint_name=job.endpoint_name,
        event=job.state.value,
        inline=target.inline,
    )


def notification(publication: Publication, subscription: Subscription) -> Delivery:
    """The delivery of a publication to a subscriber."""
    said = {
        "type": NOTIFICATION,
        "message_id": publication.message_id,
        "message": publication.message,
        "subject": publication.subject,
        "attributes": {name: dict(value) for name, value in publication.attributes.items()},
        "at_ms": publication.at_ms,
        "inline": publication.inline,
    }
    return _delivery(subscription, said, publication)


def confirmation(subscription: Subscription, message_id: str, now_ms: int) -> Delivery:
    """The delivery that asks a subscriber to confirm."""
    event = "sns.subscription_confirmation"
    asked = Publication(message_id, subscription.topic_arn, now_ms, None, event=event)
    return _delivery(subscription, {"type": CONFIRMATION, "message_id": message_id, "at_ms": now_ms}, asked)


def _delivery(subscription: Subscription, said: Mapping[str, Any], publication: Publication) -> Delivery:
    number = subscription.arn.rpartition(":")[2]
    body = {**said, "topic_arn": subscription.topic_arn, "subscription_arn": subscription.arn}
    return Delivery(
        id=f"sns_{publication.message_id}_{number}",
        job_id=publication.job_id,
        endpoint_name=publication.endpoint_name,
        target=Target(TargetKind.SNS, subscription.address),
        event=publication.event,
        body=json.dumps(body, ensure_ascii=False),
        state=DeliveryState.PENDING,
        tries=0,
        created_at_ms=publication.at_ms,
        next_at_ms=publication.at_ms,
    )
