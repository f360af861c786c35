"""What a client asks for: the body and the headers of POST and PUT /predictions and /trainings.

Source: replicate/cog 0.23, `crates/coglet/src/transport/http/routes.rs` and `docs/http.md`; `Prefer: wait` is that of
Replicate's own API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial.domain.errors import INVALID_FIELD, UNSUPPORTED_MEDIA_TYPE, BadInput
from seatrial.domain.jobs import HIDDEN_PREFIX
from seatrial.domain.json_text import json_bytes, parse_request_json, without_mark
from seatrial.domain.limits import (
    COG_CONTEXT_BYTES_MAX,
    COG_ID_CHARS_MAX,
    COG_WAIT_SECONDS_DEFAULT,
    COG_WAIT_SECONDS_MAX,
)
from seatrial.domain.media_types import JSON, essence

NAME = "cog_id"  # the attribute with the client's own id of its prediction
KIND = "cog_kind"  # the one that says that it is a training
EXTRAS = HIDDEN_PREFIX + "cog"  # the one with what the handler and the webhooks need, which nobody is shown
TRACE = HIDDEN_PREFIX + "cog_trace"  # the one with the headers that its webhooks pass on
EVENTS = ("start", "output", "logs", "completed")
COMPLETED = "completed"
_ID = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9._:-]{{0,{COG_ID_CHARS_MAX - 1}}}")
_ID_WORDS = f"letters, digits and . _ : - (at most {COG_ID_CHARS_MAX}), the first a letter, a digit or _"
_TRACE = ("traceparent", "tracestate")


@dataclass(frozen=True, slots=True)
class Asked:
    """A prediction to run. `events` are those that its webhook is told of, `wait_seconds` None: until the end."""

    input: bytes = b"{}"
    id: str | None = None
    webhook: str | None = None
    events: frozenset[str] = frozenset(EVENTS)
    extras: Mapping[str, Any] = field(default_factory=dict)
    trace: Mapping[str, str] = field(default_factory=dict)  # W3C Trace Context, of this very attempt

    def kept(self) -> str:
        """What its handler and its webhooks need, as the text of an attribute."""
        return json.dumps({**self.extras, "events": sorted(self.events)}, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Preference:
    """How long the answer is waited for: not at all, some seconds, or (None) until the end. `stream`: as events."""

    wait_seconds: float | None = None
    stream: bool = False


def read_preference(headers: Mapping[str, str]) -> Preference:
    """`Prefer: respond-async`, `Prefer: wait[=N]` and `Accept: text/event-stream`. Raises BadInput."""
    accepted = [one.partition(";")[0].strip().lower() for one in headers.get("accept", "").split(",")]
    stream = "text/event-stream" in accepted
    wait_seconds: float | None = None
    for one in headers.get("prefer", "").split(","):
        name, equals, value = one.strip().partition("=")
        if name.lower() == "respond-async" and wait_seconds is None:
            wait_seconds = 0
        elif name.lower() == "wait":
            wait_seconds = _wait(value.strip().strip('"')) if equals else COG_WAIT_SECONDS_DEFAULT
    return Preference(wait_seconds, stream)


def _wait(text: str) -> float:
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= COG_WAIT_SECONDS_MAX:
        return int(text)
    valid = f"wait=N with 0 to {COG_WAIT_SECONDS_MAX} whole seconds"
    raise BadInput(INVALID_FIELD, f"Prefer: wait={text[:100]} cannot be.", field="prefer", valid=valid)


def read_body(body: bytes, media_type: str, headers: Mapping[str, str], path_id: str | None) -> Asked:
    """The body of a request; an empty one asks with no input. `path_id` is the id of a PUT.

    Raises:
        BadInput: not JSON, or a field of another kind.
    """
    if path_id is not None:
        _check_id(path_id)
    trace = {name: headers[name][:512] for name in _TRACE if name in headers}
    if not body:
        return Asked(id=path_id, trace=trace)
    if essence(media_type) != JSON:
        message = "The request has no Content-Type: application/json."
        raise BadInput(UNSUPPORTED_MEDIA_TYPE, message, field="content-type", valid=JSON)
    given = parse_request_json(without_mark(body))
    if not isinstance(given, dict):
        raise BadInput(INVALID_FIELD, "The body is no JSON object.", field="body", valid='{"input": {…}}')
    named = _text(given, "id", _ID_WORDS)
    if named is not None:
        _check_id(named)
    if path_id is not None and named not in (None, path_id):
        valid = "the id of the path, or none"
        raise BadInput(INVALID_FIELD, "prediction ID must match the ID supplied in the URL", field="id", valid=valid)
    prefix = _text(given, "output_file_prefix", "an http or https URL")
    extras = {"context": _context(given), "output_file_prefix": prefix}
    return Asked(
        input=_input(given),
        id=path_id or named,
        webhook=_text(given, "webhook", "an http or https URL"),
        events=_events(given),
        extras={name: value for name, value in extras.items() if value},
        trace=trace,
    )


def read_extras(attributes: Mapping[str, str]) -> Mapping[str, Any]:
    """What `Asked.kept` has kept with a job."""
    found: dict[str, Any] = json.loads(attributes.get(EXTRAS, "{}"))
    return found


def _check_id(named: str) -> None:
    if not _ID.fullmatch(named):
        raise BadInput(INVALID_FIELD, f"{named[:100]!r} cannot be an id.", field="id", valid=_ID_WORDS)


def _input(given: Mapping[str, Any]) -> bytes:
    value = given.get("input")
    if value is None:
        return b"{}"
    if not isinstance(value, dict):
        raise BadInput(INVALID_FIELD, "input is no JSON object.", field="input", valid="a JSON object")
    return json_bytes(value)


def _events(given: Mapping[str, Any]) -> frozenset[str]:
    value = given.get("webhook_events_filter")
    if value is None:
        return frozenset(EVENTS)
    if not isinstance(value, list) or any(one not in EVENTS for one in value):
        field_name, valid = "webhook_events_filter", f"a list of {', '.join(EVENTS)}"
        raise BadInput(INVALID_FIELD, "webhook_events_filter cannot be so.", field=field_name, valid=valid)
    return frozenset(value)


def _context(given: Mapping[str, Any]) -> Mapping[str, str] | None:
    value = given.get("context")
    if value is None:
        return None
    valid = f"an object of texts, of at most {COG_CONTEXT_BYTES_MAX:,} bytes"
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise BadInput(INVALID_FIELD, "context is no object of texts.", field="context", valid=valid)
    if len(json.dumps(value)) > COG_CONTEXT_BYTES_MAX:
        raise BadInput(INVALID_FIELD, "context is too large.", field="context", valid=valid)
    return value


def _text(given: Mapping[str, Any], name: str, valid: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise BadInput(INVALID_FIELD, f"{name} is no text.", field=name, valid=valid)
    return value or None
