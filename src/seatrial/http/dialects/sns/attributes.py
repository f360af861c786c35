"""Attributes of topics and subscriptions: which may be set here, and all that are told.

Source: botocore's service model of 2010-03-31, and the API reference of Amazon SNS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seatrial.domain.topics import Subscription, Topic
from seatrial.http.dialects.sns.errors import invalid

_TOPIC_VALUES = {"DisplayName": None, "SignatureVersion": ("1", "2")}
_SUBSCRIPTION_VALUES = {"RawMessageDelivery": ("true", "false")}
SIGNATURE_VERSION_DEFAULT = "2"


def check_topic(attributes: Mapping[str, str]) -> None:
    """Raises AwsError: an attribute that is not offered, or a value that it cannot have."""
    _check(attributes, _TOPIC_VALUES, "a topic")


def check_subscription(attributes: Mapping[str, str]) -> None:
    """Raises AwsError: an attribute that is not offered, or a value that it cannot have."""
    _check(attributes, _SUBSCRIPTION_VALUES, "a subscription")


def signature_version(topic: Topic) -> str:
    """Of the envelopes of a topic."""
    return topic.attributes.get("SignatureVersion", SIGNATURE_VERSION_DEFAULT)


def of_topic(topic: Topic, subscriptions: Sequence[Subscription]) -> dict[str, str]:
    """What GetTopicAttributes tells."""
    confirmed = sum(one.confirmed for one in subscriptions)
    return {
        "TopicArn": topic.arn,
        "Owner": topic.owner,
        "DisplayName": "",
        "SignatureVersion": SIGNATURE_VERSION_DEFAULT,
        "SubscriptionsConfirmed": str(confirmed),
        "SubscriptionsPending": str(len(subscriptions) - confirmed),
        "SubscriptionsDeleted": "0",
        **topic.attributes,
    }


def of_subscription(subscription: Subscription) -> dict[str, str]:
    """What GetSubscriptionAttributes tells."""
    return {
        "SubscriptionArn": subscription.arn,
        "TopicArn": subscription.topic_arn,
        "Owner": subscription.owner,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.address,
        "PendingConfirmation": "false" if subscription.confirmed else "true",
        "ConfirmationWasAuthenticated": "false",
        "RawMessageDelivery": "false",
        **subscription.attributes,
    }


def entry(subscription: Subscription) -> dict[str, str]:
    """What listings tell of a subscription."""
    return {
        "SubscriptionArn": subscription.arn if subscription.confirmed else "PendingConfirmation",
        "Owner": subscription.owner,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.address,
        "TopicArn": subscription.topic_arn,
    }


def _check(attributes: Mapping[str, str], offered: Mapping[str, tuple[str, ...] | None], what: str) -> None:
    for name, value in attributes.items():
        if name not in offered:
            raise invalid(f"The attribute {name[:100]!r} of {what} is not offered here. Offered: {', '.join(offered)}.")
        values = offered[name]
        if values is not None and value and value not in values:
            raise invalid(f"{name} must be one of {', '.join(values)}, not {value[:100]!r}.")
