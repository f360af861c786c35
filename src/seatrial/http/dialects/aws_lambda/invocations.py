"""What an Invoke asks for, and what of it reaches the handler beside the event.

Source: botocore's service model of 2015-03-31 (operation Invoke).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.domain.errors import BadInput
from seatrial.domain.jobs import HIDDEN_PREFIX
from seatrial.domain.json_text import parse_request_json
from seatrial.domain.limits import LAMBDA_CLIENT_CONTEXT_BYTES_MAX, LAMBDA_EVENT_BYTES_MAX
from seatrial.http.dialects.aws_lambda import refusals

EXTRAS = HIDDEN_PREFIX + "lambda"  # the attribute with what else the handler gets: client_context, function_arn, …
DRY_RUN, EVENT, WAITED_FOR = "DryRun", "Event", "RequestResponse"
NO_PAYLOAD = b"{}"  # what AWS gives to a function that was sent nothing
_NOT_HERE = ("DurableExecutionName", "TenantId")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One Invoke, understood. `event` is JSON; `extras`, JSON too, is for the handler's context."""

    kind: str
    event: bytes
    wants_log: bool
    extras: str


def read_invocation(given: Mapping[str, Any], body: bytes, function_arn: str, trace_id: str | None) -> Invocation:
    """Read the members of Invoke, and hold the payload to be JSON.

    Raises:
        AwsError: what is not offered, a payload that is too large or no JSON, a client context that is none.
    """
    for name in _NOT_HERE:
        if name in given:
            raise refusals.invalid(f"{name} is not offered here.")
    kind = given.get("InvocationType", WAITED_FOR)
    if kind == EVENT and len(body) > LAMBDA_EVENT_BYTES_MAX:
        raise refusals.too_large(LAMBDA_EVENT_BYTES_MAX)
    event = body or NO_PAYLOAD
    try:
        parse_request_json(event)
    except BadInput as error:
        raise refusals.invalid_content(f"Could not parse request body into json: {error.message}") from None
    extras = {"function_arn": function_arn, "trace_id": trace_id, "client_context": _client_context(given)}
    told = {name: value for name, value in extras.items() if value is not None}
    return Invocation(kind, event, given.get("LogType") == "Tail", json.dumps(told))


def _client_context(given: Mapping[str, Any]) -> Any:
    """Base64 of a JSON object, as it travels in a header."""
    text = given.get("ClientContext")
    if text is None:
        return None
    if len(text) > LAMBDA_CLIENT_CONTEXT_BYTES_MAX:
        raise refusals.invalid(f"ClientContext has more than {LAMBDA_CLIENT_CONTEXT_BYTES_MAX} bytes.")
    try:
        told = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise refusals.invalid("Client context must be a valid Base64-encoded JSON object.")
    return told
