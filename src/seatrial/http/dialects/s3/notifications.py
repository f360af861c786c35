"""A bucket's notification configuration: its document, and S3's rules for it.

Source: "PutBucketNotificationConfiguration" in the Amazon S3 API Reference, and botocore's service model.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from xml.etree.ElementTree import Element

from seatrial.domain.limits import KEY_BYTES_MAX, TRIGGERS_PER_BUCKET_MAX
from seatrial.domain.triggers import ObjectChange, Trigger, TriggerKind, overlap
from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.dialects.s3.errors import not_offered, s3_error
from seatrial.http.dialects.s3.xml import Members, document, parse, text

ROOT = "NotificationConfiguration"
_KINDS = {
    "CloudFunctionConfiguration": (TriggerKind.FUNCTION, "CloudFunction"),
    "TopicConfiguration": (TriggerKind.TOPIC, "Topic"),
}
_ELEMENT_OF = {kind: (element, target) for element, (kind, target) in _KINDS.items()}
_EVENTS = frozenset(
    {
        "s3:ObjectCreated:*",
        "s3:ObjectCreated:Post",  # a form upload, which is not offered: never said
        "s3:ObjectRemoved:*",
        "s3:ObjectRemoved:DeleteMarkerCreated",  # of versioned buckets: never said
        *(f"s3:{change}" for change in ObjectChange),
    }
)
_ID_CHARS_MAX = 255
_QUEUES = (
    "QueueConfiguration is not offered here: there are no SQS queues. Name a function (its handler can be told in "
    "SQS's words by a trigger of /v1/triggers with event = sqs) or a topic. QueueConfiguration"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One configuration of a document. `target` is an ARN."""

    kind: TriggerKind
    name: str
    target: str
    events: frozenset[str]
    prefix: str
    suffix: str


def read_configuration(raw: bytes) -> list[Rule]:
    """The rules of a document; without any, notifications are off.

    Raises:
        AwsError: MalformedXML, InvalidArgument, NotImplemented.
    """
    root = parse(raw, ROOT)
    rules = list(_rules(root))
    if len(rules) > TRIGGERS_PER_BUCKET_MAX:
        raise _invalid(f"At most {TRIGGERS_PER_BUCKET_MAX} configurations are allowed on a bucket.")
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise _invalid(f"Same ID used for multiple configurations. IDs must be unique. The ID is {name!r}.")
    return rules


def check_overlaps(triggers: Sequence[Trigger]) -> None:
    """S3 sends one event of one object to one destination. Raises AwsError: InvalidArgument."""
    for one, other in combinations(triggers, 2):
        if overlap(one, other):
            raise _invalid(
                "Configurations overlap. Configurations on the same bucket cannot share a common event type. "
                f"{one.name!r} and {other.name!r} do for some key: give them prefixes or suffixes that exclude others."
            )


def refuse_removals(rules: Sequence[Rule]) -> None:
    """Where objects are found by listing, nobody sees them go. Raises AwsError: NotImplemented."""
    if any(event.startswith("s3:ObjectRemoved:") for rule in rules for event in rule.events):
        raise not_offered("s3:ObjectRemoved with objects kept in an S3 service")


def unknown_destination(arn: str, why: str) -> AwsError:
    """The destination cannot be told."""
    return _invalid(f"Unable to validate the following destination configurations: {arn}: {why}")


def configuration_document(triggers: Sequence[Trigger]) -> bytes:
    """The document of what a bucket has."""
    return document(ROOT, [(_ELEMENT_OF[one.kind][0], _members(one)) for one in triggers])


def _members(trigger: Trigger) -> Members:
    rules = [
        ("FilterRule", [("Name", word), ("Value", value)])
        for word, value in (("Prefix", trigger.prefix), ("Suffix", trigger.suffix))
        if value
    ]
    members: list[tuple[str, str | Members | None]] = [
        ("Id", trigger.name),
        (_ELEMENT_OF[trigger.kind][1], trigger.target),
    ]
    members += [("Event", event) for event in sorted(trigger.events)]
    if rules:
        members.append(("Filter", [("S3Key", rules)]))
    return members


def _rules(root: Element) -> Iterator[Rule]:
    for element in root:
        if element.tag == "QueueConfiguration":
            raise not_offered(_QUEUES)
        if element.tag == "EventBridgeConfiguration":
            raise not_offered(element.tag)
        if element.tag not in _KINDS:
            raise s3_error("MalformedXML")
        kind, target = _KINDS[element.tag]
        prefix, suffix = _filter(element.find("Filter"))
        yield Rule(kind, _name(element), text(element, target), _events(element), prefix, suffix)


def _name(element: Element) -> str:
    name = element.findtext("Id") or uuid.uuid4().hex
    if len(name) > _ID_CHARS_MAX:
        raise _invalid(f"An Id has at most {_ID_CHARS_MAX} characters.")
    return name


def _events(element: Element) -> frozenset[str]:
    events = [found.text or "" for found in element.findall("Event")]
    if not events:
        raise s3_error("MalformedXML")
    for event in events:
        if event not in _EVENTS:
            valid = ", ".join(sorted(_EVENTS))
            raise _invalid(f"The event {event!r} is not supported for notifications here; valid: {valid}.")
    return frozenset(events)


def _filter(element: Element | None) -> tuple[str, str]:
    if element is None:
        return "", ""
    found: dict[str, str] = {}
    for rule in element.findall("S3Key/FilterRule"):
        name = text(rule, "Name").lower()
        if name not in ("prefix", "suffix"):
            raise _invalid("filter rule name must be either prefix or suffix")
        if name in found:
            raise _invalid(f"Cannot specify more than one {name} rule in a filter.")
        found[name] = rule.findtext("Value") or ""
        if len(found[name].encode()) > KEY_BYTES_MAX:
            raise _invalid(f"A filter's value has at most {KEY_BYTES_MAX} bytes.")
    return found.get("prefix", ""), found.get("suffix", "")


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidArgument", message, 400)
