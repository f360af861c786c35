"""What each kind of trigger does with an event of an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from seatrial.domain.access import reach_document, read_reach
from seatrial.domain.credentials import Reach
from seatrial.domain.media_types import JSON
from seatrial.domain.triggers import ObjectEvent, Trigger, TriggerKind
from seatrial.engine.arrivals import Act
from seatrial.engine.submission import Submission
from seatrial.engine.submit import Submitter
from seatrial.engine.topics import Topics

REACH = "reach"  # the option that has what who set the trigger up may touch; none: everything
FUNCTION_DOOR = "lambda"
TRIGGER_DOOR = "trigger"


class EventWords(Protocol):
    """How those who are told of an event hear of it."""

    def function_event(self, trigger: Trigger, event: ObjectEvent) -> bytes:
        """The event that a function is invoked with, as JSON."""
        ...

    def topic_message(self, trigger: Trigger, event: ObjectEvent) -> tuple[str, str]:
        """The subject and the body of a message to a topic."""
        ...

    def function_attributes(self, trigger: Trigger) -> Mapping[str, str]:
        """What else the job of an invocation has."""
        ...


def trigger_acts(submitter: Submitter, topics: Topics, words: EventWords) -> dict[TriggerKind, Act]:
    """The act of each kind that stands in a bucket."""

    async def function(trigger: Trigger, event: ObjectEvent) -> str:
        return await _submitted(
            submitter,
            event,
            Submission(
                endpoint_name=trigger.options["endpoint"],
                owner=trigger.owner,
                reach=read_reach(trigger.options.get(REACH)),
                door=FUNCTION_DOOR,
                media_type=JSON,
                body=words.function_event(trigger, event),
                attributes=words.function_attributes(trigger),
                idempotency_key=_key(event),
                check_now=True,
            ),
        )

    async def endpoint(trigger: Trigger, event: ObjectEvent) -> str:
        options = trigger.options
        return await _submitted(
            submitter,
            event,
            Submission(
                endpoint_name=trigger.target,
                owner=trigger.owner,
                reach=read_reach(trigger.options.get(REACH)),
                door=TRIGGER_DOOR,
                media_type=options.get("media_type"),
                object=event.name,
                object_etag=event.etag,
                vague_is_json=event.name.key.endswith(".json"),
                task=options.get("task"),
                result_name=options.get("result"),
                attributes={"trigger": trigger.name, "object": event.name.uri},
                idempotency_key=_key(event),
            ),
        )

    async def topic(trigger: Trigger, event: ObjectEvent) -> str:
        subject, body = words.topic_message(trigger, event)
        return f"message {await topics.publish(trigger.owner, trigger.target, body, subject)}"

    return {TriggerKind.FUNCTION: function, TriggerKind.ENDPOINT: endpoint, TriggerKind.TOPIC: topic}


def kept_reach(reach: Reach) -> dict[str, str]:
    """The option of a trigger that says what who set it up may touch."""
    return {} if reach.whole else {REACH: reach_document(reach)}


async def _submitted(submitter: Submitter, event: ObjectEvent, submission: Submission) -> str:
    return f"job {(await submitter.submit(submission)).job_id}"


def _key(event: ObjectEvent) -> str:
    return f"object-event:{event.id}"
