"""What subscribers by http and https are sent.

Sources: "HTTP/HTTPS notification and subscription confirmation formats" and "Verifying the signatures of Amazon SNS
messages" in the developer guide of Amazon SNS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from seatrial.domain.topics import CONFIRMATION, NOTIFICATION, Subscription

MEDIA_TYPE = "text/plain; charset=UTF-8"
_SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_TO_CONFIRM = (
    "You have chosen to subscribe to the topic {topic}.\nTo confirm the subscription, visit the SubscribeURL included "
    "in this message."
)


@dataclass(frozen=True, slots=True)
class Links:
    """Where a subscriber finds the server again: its own URL, and the path of its certificate."""

    base_url: str
    certificate_path: str

    @property
    def certificate(self) -> str:
        """What a signature is verified with."""
        return self.base_url + self.certificate_path

    def subscribe(self, subscription: Subscription) -> str:
        """Visiting it confirms."""
        asked = {"Action": "ConfirmSubscription", "TopicArn": subscription.topic_arn, "Token": subscription.token}
        return f"{self.base_url}/?{urlencode(asked)}"

    def unsubscribe(self, subscription: Subscription) -> str:
        """Visiting it ends the subscription: only its subscriber knows the token."""
        asked = {"Action": "Unsubscribe", "SubscriptionArn": subscription.arn, "Token": subscription.token}
        return f"{self.base_url}/?{urlencode(asked)}"


def confirmation(said: Mapping[str, Any], subscription: Subscription, links: Links) -> dict[str, str]:
    """The question to confirm a subscription, not signed yet."""
    return {
        "Type": CONFIRMATION,
        "MessageId": said["message_id"],
        "Token": subscription.token,
        "TopicArn": subscription.topic_arn,
        "Message": _TO_CONFIRM.format(topic=subscription.topic_arn),
        "SubscribeURL": links.subscribe(subscription),
        "Timestamp": _instant(said["at_ms"]),
    }


def notification(said: Mapping[str, Any], message: str, subscription: Subscription, links: Links) -> dict[str, Any]:
    """The envelope of a message, not signed yet."""
    subject = {"Subject": said["subject"]} if said["subject"] else {}
    attributes = {name: _attribute(value) for name, value in said["attributes"].items()}
    return {
        "Type": NOTIFICATION,
        "MessageId": said["message_id"],
        "TopicArn": subscription.topic_arn,
        **subject,
        "Message": message,
        "Timestamp": _instant(said["at_ms"]),
        "UnsubscribeURL": links.unsubscribe(subscription),
        **({"MessageAttributes": attributes} if attributes else {}),
    }


def string_to_sign(envelope: Mapping[str, Any]) -> bytes:
    """The names and the values of what is signed, each on a line, in the order that SNS has for this type."""
    names = [name for name in _SIGNED[envelope["Type"]] if name in envelope]
    return "".join(f"{name}\n{envelope[name]}\n" for name in names).encode()


def body(envelope: Mapping[str, Any], version: str, signature: str, links: Links) -> bytes:
    """The signed document."""
    signed = {"SignatureVersion": version, "Signature": signature, "SigningCertURL": links.certificate}
    return json.dumps({**envelope, **signed}, ensure_ascii=False, indent=2).encode()


def headers(said: Mapping[str, Any], subscription: Subscription) -> dict[str, str]:
    """What SNS says beside the body."""
    named = {
        "x-amz-sns-message-type": said["type"],
        "x-amz-sns-message-id": said["message_id"],
        "x-amz-sns-topic-arn": subscription.topic_arn,
    }
    if said["type"] == NOTIFICATION:
        named["x-amz-sns-subscription-arn"] = subscription.arn
        if subscription.raw:
            named["x-amz-sns-rawdelivery"] = "true"
    return named


def _attribute(value: Mapping[str, str]) -> dict[str, str]:
    return {"Type": value["DataType"], "Value": value.get("StringValue", value.get("BinaryValue", ""))}


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
