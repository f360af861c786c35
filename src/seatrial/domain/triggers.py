"""Triggers: what objects set off that come to a bucket, or leave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from seatrial.domain.objects import ObjectName


class ObjectChange(StrEnum):
    """What happened to an object, in S3's words."""

    PUT = "ObjectCreated:Put"
    COPY = "ObjectCreated:Copy"
    COMPLETED = "ObjectCreated:CompleteMultipartUpload"
    DELETED = "ObjectRemoved:Delete"


class TriggerKind(StrEnum):
    """What is set off."""

    FUNCTION = "function"  # an invocation whose event tells of the object; the target is a function's ARN
    TOPIC = "topic"  # a message; the target is a topic's ARN
    ENDPOINT = "endpoint"  # a job whose input is the object; the target is an endpoint's name
    UPLOAD = "upload"  # the input of a job that waits for this very object has come; the target is the job's id


class Origin(StrEnum):
    """Who set a trigger up, and so who may replace it."""

    NOTIFICATION = "notification"  # the bucket's notification configuration
    SETTING = "setting"  # the native API
    PACKAGE = "package"  # [[triggers]] of the package that is in service
    UPLOAD = "upload"  # a job that waits for its input


CREATED_EVENTS = ("s3:ObjectCreated:*", *(f"s3:{one}" for one in ObjectChange if one is not ObjectChange.DELETED))
REMOVED_EVENTS = ("s3:ObjectRemoved:*", f"s3:{ObjectChange.DELETED}")
WHOLE_OBJECT = "object"  # the job is given the object itself
GIVEN = (WHOLE_OBJECT, "s3", "sns", "sqs")  # or an event of that service, as functions of AWS Lambda get it


@dataclass(frozen=True, slots=True)
class TriggerWish:
    """Objects of a bucket are to become jobs of an endpoint; `event` is one of GIVEN."""

    bucket: str
    name: str | None = None
    prefix: str = ""
    suffix: str = ""
    events: tuple[str, ...] = ("s3:ObjectCreated:*",)
    event: str = WHOLE_OBJECT
    task: str | None = None
    media_type: str | None = None
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """A rule. `events` are patterns such as `s3:ObjectCreated:*`; `name` is the rule's own, unique in its bucket.

    With `key` it speaks of that one object, otherwise of all whose keys have `prefix` and `suffix`.
    """

    id: str
    owner: str
    bucket: str
    kind: TriggerKind
    target: str
    origin: Origin
    name: str
    created_at_ms: int
    events: frozenset[str] = frozenset({"s3:ObjectCreated:*"})
    prefix: str = ""
    suffix: str = ""
    key: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def endpoint(self) -> str | None:
        """Where it leads, if that is an endpoint."""
        named: str | None = self.options.get("endpoint")
        return self.target if self.kind is TriggerKind.ENDPOINT else named

    def wants(self, key: str, change: ObjectChange) -> bool:
        """Whether this change of the object of that key, in the trigger's bucket, sets it off."""
        fits = self.key == key if self.key is not None else _has(key, self.prefix, self.suffix)
        return fits and any(covers(event, f"s3:{change}") for event in self.events)


class EventState(StrEnum):
    """What has become of an object event."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"  # given up, for the reason in its outcome


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """One change of one object, and the one trigger that it sets off. `sequencer` orders the events of a key.

    `version` tells one object from the next under the same name. Of an object that is gone, size and ETag are None.
    """

    id: str
    sequencer: int
    trigger: Trigger | None  # None: the rule was taken back since
    name: ObjectName
    change: ObjectChange
    version: str
    at_ms: int
    size_bytes: int | None = None
    etag: str | None = None
    media_type: str | None = None
    tries: int = 0
    state: EventState = EventState.WAITING
    outcome: str = ""  # the job that it became, or why it became nothing


def covers(pattern: str, event: str) -> bool:
    """`s3:ObjectCreated:*` covers `s3:ObjectCreated:Put`, and itself."""
    return pattern == event or (pattern.endswith(":*") and event.startswith(pattern[:-1]))


def overlap(one: Trigger, other: Trigger) -> bool:
    """Whether some change of some object would set off both: S3 allows no two such rules in one bucket."""
    events = any(covers(a, b) or covers(b, a) for a in one.events for b in other.events)
    prefixes = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
    suffixes = one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix)
    return events and prefixes and suffixes


def _has(key: str, prefix: str, suffix: str) -> bool:
    return key.startswith(prefix) and key.endswith(suffix)
