"""What a RunPod client asks for: the bodies of run and runsync, and its limits.

Shapes from RunPod's serverless documentation and runpod/runpod-python 1.12 (`endpoint/runner.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from seatrial.domain.client_bucket import ClientBucket
from seatrial.domain.errors import INVALID_FIELD, MISSING_FIELD, PAYLOAD_TOO_LARGE, BadInput
from seatrial.domain.jobs import HIDDEN_PREFIX
from seatrial.domain.json_text import json_bytes, parse_request_json, without_mark
from seatrial.domain.limits import (
    INVOCATION_TIMEOUT_SECONDS_MAX,
    PRIORITY_MAX,
    QUEUE_TTL_SECONDS_MAX,
    RUNPOD_EXTRAS_BYTES_MAX,
    RUNPOD_WAIT_MS_DEFAULT,
    RUNPOD_WAIT_MS_MAX,
    RUNPOD_WAIT_MS_MIN,
)

EXTRAS = HIDDEN_PREFIX + "runpod"  # the attribute with what else the handler gets beside the input: s3Config, webhook …
SYNC_PREFIX = "sync-"
_OURS = ("id", "input", "policy")  # what handlers get from us, or not at all


@dataclass(frozen=True, slots=True)
class Run:
    """A job to run. `input` is JSON; `extras`, JSON too, reaches the handler beside it and is shown to nobody."""

    input: bytes
    webhook: str | None = None
    execution_timeout_seconds: int | None = None
    queue_ttl_seconds: int | None = None
    priority: int = 5
    extras: str | None = None
    bucket: ClientBucket | None = None


def read_run(body: bytes) -> Run:
    """The body of run or runsync.

    Raises:
        BadInput: it is no JSON object, has no `input`, or a field of another kind or out of its range.
    """
    given = parse_request_json(without_mark(body))
    if not isinstance(given, Mapping):
        raise BadInput(INVALID_FIELD, "The body is no JSON object.", field="body", valid='{"input": {…}}')
    if "input" not in given:
        raise BadInput(MISSING_FIELD, "The body has no 'input'.", field="input", valid='{"input": {…}}')
    policy = _object(given, "policy")
    config = _object(given, "s3Config")
    return Run(
        input=json_bytes(given["input"]),
        webhook=_text(given, "webhook"),
        execution_timeout_seconds=_seconds(policy, "executionTimeout", INVOCATION_TIMEOUT_SECONDS_MAX),
        queue_ttl_seconds=_seconds(policy, "ttl", QUEUE_TTL_SECONDS_MAX),
        priority=PRIORITY_MAX if _flag(policy, "lowPriority") else 5,
        extras=_extras(given),
        bucket=_bucket(config),
    )


def read_wait_seconds(text: str | None) -> float:
    """The `wait` of runsync, in milliseconds on the wire; held to RunPod's own range.

    Raises:
        BadInput: no whole number.
    """
    if text is None:
        return RUNPOD_WAIT_MS_DEFAULT / 1000
    if not text.isdecimal() or len(text) > 12:
        valid = f"{RUNPOD_WAIT_MS_MIN} to {RUNPOD_WAIT_MS_MAX} milliseconds"
        raise BadInput(INVALID_FIELD, f"{text[:40]!r} is no wait.", field="wait", valid=valid)
    return min(max(int(text), RUNPOD_WAIT_MS_MIN), RUNPOD_WAIT_MS_MAX) / 1000


def job_id_of(shown: str) -> str:
    """The job behind an id that was told to a client: runsync's begin with a word of their own."""
    return shown.removeprefix(SYNC_PREFIX)


def _extras(given: Mapping[str, Any]) -> str | None:
    extras = {name: value for name, value in given.items() if name not in _OURS}
    if not extras:
        return None
    text = json_bytes(extras).decode()
    if len(text.encode()) > RUNPOD_EXTRAS_BYTES_MAX:
        valid = f"at most {RUNPOD_EXTRAS_BYTES_MAX:,} bytes in all; everything that is large belongs into 'input'"
        names = ", ".join(extras)
        raise BadInput(PAYLOAD_TOO_LARGE, f"What stands beside 'input' is too large: {names}.", valid=valid)
    return text


def _bucket(config: Mapping[str, Any]) -> ClientBucket | None:
    """Of a whole s3Config; one that lacks something is the handler's own affair."""
    said = [config.get(name) for name in ("endpointUrl", "bucketName", "accessId", "accessSecret")]
    texts = [one for one in said if isinstance(one, str) and one]
    if len(texts) < len(said):
        return None
    try:
        url = urlsplit(texts[0])
        is_address = url.scheme in ("http", "https") and bool(url.hostname) and not url.query and not url.username
    except ValueError:
        is_address = False
    if not is_address:
        valid = "the URL of an S3 service, such as https://s3.eu-central-1.amazonaws.com"
        raise BadInput(INVALID_FIELD, "s3Config.endpointUrl is no address.", field="s3Config.endpointUrl", valid=valid)
    return ClientBucket(*texts)


def _object(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = given.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadInput(INVALID_FIELD, f"{name!r} is no JSON object.", field=name, valid="a JSON object")
    return value


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise BadInput(INVALID_FIELD, f"{name!r} is no text.", field=name, valid="an http or https URL")
    return value or None


def _flag(policy: Mapping[str, Any], name: str) -> bool:
    value = policy.get(name, False)
    if not isinstance(value, bool):
        raise BadInput(INVALID_FIELD, f"policy.{name} is no boolean.", field=f"policy.{name}", valid="true or false")
    return value


def _seconds(policy: Mapping[str, Any], name: str, seconds_max: int) -> int | None:
    """Milliseconds, as whole seconds: rounded up."""
    value = policy.get(name)
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 1_000 <= value <= seconds_max * 1_000:
        valid = f"1000 to {seconds_max * 1_000} milliseconds"
        raise BadInput(INVALID_FIELD, f"policy.{name} is out of range.", field=f"policy.{name}", valid=valid)
    return math.ceil(float(value) / 1_000)
