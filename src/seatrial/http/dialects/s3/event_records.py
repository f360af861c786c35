"""What S3 tells of an object's change, as functions and topics hear of it.

Sources: "Event message structure" in the Amazon S3 User Guide (version 2.1 of the record, `s3:TestEvent`); "Using
Lambda with Amazon SNS" and "Using Lambda with Amazon SQS" in the AWS Lambda Developer Guide. What this server cannot
know stands as AWS would have it look: the client's address is the server's own, request ids are made of the event's.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

from seatrial.domain.triggers import ObjectChange, ObjectEvent, Trigger

SUBJECT = "Amazon S3 Notification"  # of a message to a topic
SHAPES = ("s3", "sns", "sqs")
_TEST_EVENT = "s3:TestEvent"


def event_document(trigger: Trigger, event: ObjectEvent, owner: str, region: str) -> str:
    """`{"Records": [...]}` as S3 sends it."""
    return json.dumps({"Records": [_record(trigger, event, owner, region)]}, ensure_ascii=False)


def function_event(trigger: Trigger, event: ObjectEvent, owner: str, region: str) -> str:
    """The same as a function gets it: from S3 itself or, where the trigger says so, in SNS's or SQS's envelope."""
    document = event_document(trigger, event, owner, region)
    shape = trigger.options.get("event", "s3")
    if shape == "s3":
        return document
    record = _sns(document, event, owner, region) if shape == "sns" else _sqs(document, event, owner, region)
    return json.dumps({"Records": [record]}, ensure_ascii=False)


def test_event(bucket: str, request_id: str, now_ms: int) -> str:
    """What a topic hears when it becomes a destination."""
    told = {
        "Service": "Amazon S3",
        "Event": _TEST_EVENT,
        "Time": _instant(now_ms),
        "Bucket": bucket,
        "RequestId": request_id,
        "HostId": _words(request_id)[1],
    }
    return json.dumps(told)


test_event.__test__ = False  # type: ignore[attr-defined]  # S3's name for it, no test of ours


def _record(trigger: Trigger, event: ObjectEvent, owner: str, region: str) -> dict[str, Any]:
    request_id, host_id = _words(event.id)
    told: dict[str, Any] = {"key": quote_plus(event.name.key, safe="/")}
    if event.change is not ObjectChange.DELETED:
        told |= {"size": event.size_bytes, "eTag": event.etag}
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": _instant(event.at_ms),
        "eventName": event.change.value,
        "userIdentity": {"principalId": f"AWS:{owner}"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": request_id, "x-amz-id-2": host_id},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": trigger.name,
            "bucket": {
                "name": event.name.bucket,
                "ownerIdentity": {"principalId": owner},
                "arn": f"arn:aws:s3:::{event.name.bucket}",
            },
            "object": {**told, "sequencer": f"{event.sequencer:018X}"},
        },
    }


def _sns(message: str, event: ObjectEvent, owner: str, region: str) -> dict[str, Any]:
    topic, service = f"arn:aws:sns:{region}:{owner}:{event.name.bucket}", f"https://sns.{region}.amazonaws.com"
    subscription = f"{topic}:{_uuid(event.id)}"
    return {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription,
        "Sns": {
            "Type": "Notification",
            "MessageId": _uuid(event.id),
            "TopicArn": topic,
            "Subject": SUBJECT,
            "Message": message,
            "Timestamp": _instant(event.at_ms),
            "SignatureVersion": "1",
            "Signature": "",  # it did not come over the net
            "SigningCertUrl": f"{service}/SimpleNotificationService.pem",
            "UnsubscribeUrl": f"{service}/?Action=Unsubscribe&SubscriptionArn={subscription}",
            "MessageAttributes": {},
        },
    }


def _sqs(body: str, event: ObjectEvent, owner: str, region: str) -> dict[str, Any]:
    at = str(event.at_ms)
    return {
        "messageId": _uuid(event.id),
        "receiptHandle": _words(event.id)[1],
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": at,
            "SenderId": owner,
            "ApproximateFirstReceiveTimestamp": at,
        },
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{region}:{owner}:{event.name.bucket}",
        "awsRegion": region,
    }


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _words(seed: str) -> tuple[str, str]:
    """A request id and an extended one, the same whenever the event is told."""
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return digest[:16].upper(), digest


def _uuid(seed: str) -> str:
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
