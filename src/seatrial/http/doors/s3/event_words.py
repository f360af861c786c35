"""S3's words for what functions and topics hear of an object, for the engine, which knows no dialect."""

from __future__ import annotations

import json
from collections.abc import Mapping

from seatrial.domain.credentials import Credentials
from seatrial.domain.triggers import ObjectEvent, Trigger
from seatrial.http.dialects.aws_lambda.invocations import EXTRAS
from seatrial.http.dialects.s3 import event_records


class S3EventWords:
    """`engine.trigger_acts.EventWords`."""

    def __init__(self, credentials: Credentials) -> None:
        self._owner = credentials.account_id
        self._region = credentials.region

    def function_event(self, trigger: Trigger, event: ObjectEvent) -> bytes:
        """See the protocol."""
        return event_records.function_event(trigger, event, self._owner, self._region).encode()

    def topic_message(self, trigger: Trigger, event: ObjectEvent) -> tuple[str, str]:
        """See the protocol."""
        return event_records.SUBJECT, event_records.event_document(trigger, event, self._owner, self._region)

    def function_attributes(self, trigger: Trigger) -> Mapping[str, str]:
        """See the protocol."""
        return {EXTRAS: json.dumps({"function_arn": trigger.target})}
