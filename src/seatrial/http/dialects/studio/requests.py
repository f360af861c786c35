"""What a client of the studio protocol asks for: the bodies of /inference and /train.

The protocol is that of the asynchronous LoRA image servers; its fields, ranges and defaults are theirs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from seatrial.domain.errors import INVALID_FIELD, MISSING_FIELD, BadInput
from seatrial.domain.jobs import HIDDEN_PREFIX
from seatrial.domain.json_text import json_bytes, parse_request_json, without_mark
from seatrial.domain.limits import AFFINITY_CHARS_MAX, STUDIO_JOB_ID_CHARS_MAX, STUDIO_SECRET_CHARS_MAX

NAME = "studio_job_id"  # the attribute with the client's own name of its job
CALLBACK = HIDDEN_PREFIX + "studio"  # the one with what its callback needs, which nobody is shown
LORA_TRAINING = "lora_training"
DEFAULTS: Mapping[str, Any] = {"width": 1024, "height": 1024, "num_inference_steps": 28, "guidance_scale": 7.0}
_RANGES: Mapping[str, tuple[float, float]] = {
    "width": (64, 2048),
    "height": (64, 2048),
    "num_inference_steps": (1, 100),
    "guidance_scale": (1.0, 20.0),
}
_OURS = frozenset({"job_id", "callback_url", "callback_secret", "expiry"})  # the rest is the model's
_JOB_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{STUDIO_JOB_ID_CHARS_MAX - 1}}}")
_JOB_ID_WORDS = f"letters, digits and . _ : - (at most {STUDIO_JOB_ID_CHARS_MAX}), the first a letter or digit"


@dataclass(frozen=True, slots=True)
class Callback:
    """What a job's callback needs. `base` is the URL that the client spoke to; `expires_at_ms` since the epoch."""

    base: str
    secret: str | None = None
    expires_at_ms: int | None = None

    def kept(self) -> str:
        """As the text of an attribute."""
        return json.dumps({"base": self.base, "secret": self.secret, "expires_at_ms": self.expires_at_ms})


def read_callback(attributes: Mapping[str, str]) -> Callback:
    """What `kept` has kept with a job."""
    return Callback(**json.loads(attributes.get(CALLBACK, '{"base": ""}')))


@dataclass(frozen=True, slots=True)
class Asked:
    """A job to run: `fields` are the model's, as the client gave them."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    job_id: str | None = None
    affinity: str | None = None
    callback_url: str | None = None
    callback_secret: str | None = None
    expires_at_ms: int | None = None

    def body(self, takes: Callable[[str], bool] = lambda name: False) -> bytes:
        """The JSON for the model, with the protocol's defaults for fields that it takes and the client left out."""
        left_out = {name: value for name, value in DEFAULTS.items() if name not in self.fields and takes(name)}
        return json_bytes({**self.fields, **left_out})


def read_inference(body: bytes) -> Asked:
    """The body of /inference. Fields beyond the protocol's are the model's, and null is as if left out.

    Raises:
        BadInput: no JSON object, no prompt, or a field of another kind or out of its range.
    """
    given = _object(body)
    prompt = _text(given, "prompt", "a text")
    if not prompt:
        raise BadInput(MISSING_FIELD, "There is no prompt.", field="prompt", valid="a text")
    for name, (least, most) in _RANGES.items():
        _check_number(given, name, least, most)
    _check_whole(given, "seed")
    lora_path = _text(given, "lora_path", "a path or a name")
    return Asked(
        fields={name: value for name, value in given.items() if name not in _OURS},
        job_id=_job_id(given),
        affinity=lora_path if lora_path and len(lora_path) <= AFFINITY_CHARS_MAX else None,
        callback_url=_text(given, "callback_url", "an http or https URL"),
        callback_secret=_secret(given),
        expires_at_ms=_expiry(given),
    )


def read_train(body: bytes) -> tuple[str, Asked]:
    """The body of /train: what kind of job, and the job. `validator_endpoint` is the model's, if it takes one.

    Raises:
        BadInput: no JSON object, or a field of another kind.
    """
    given = _object(body)
    params = given.get("params", {})
    if not isinstance(params, Mapping):
        raise BadInput(INVALID_FIELD, "params is no JSON object.", field="params", valid="a JSON object")
    kind = _text(given, "job_type", LORA_TRAINING) or LORA_TRAINING
    return kind, Asked(fields=params, job_id=_job_id(given))


def _object(body: bytes) -> dict[str, Any]:
    given = parse_request_json(without_mark(body))
    if not isinstance(given, dict):
        raise BadInput(INVALID_FIELD, "The body is no JSON object.", field="body", valid="a JSON object")
    return {name: value for name, value in given.items() if value is not None}


def _text(given: Mapping[str, Any], name: str, valid: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise BadInput(INVALID_FIELD, f"{name} is no text.", field=name, valid=valid)
    return value or None


def _job_id(given: Mapping[str, Any]) -> str | None:
    name = _text(given, "job_id", _JOB_ID_WORDS)
    if name is not None and not _JOB_ID.fullmatch(name):
        raise BadInput(INVALID_FIELD, f"{name[:100]!r} cannot be a job_id.", field="job_id", valid=_JOB_ID_WORDS)
    return name


def _secret(given: Mapping[str, Any]) -> str | None:
    """It goes into a header."""
    valid = f"printable ASCII characters without a space at either end, at most {STUDIO_SECRET_CHARS_MAX}"
    secret = _text(given, "callback_secret", valid)
    if secret is None:
        return None
    fits = len(secret) <= STUDIO_SECRET_CHARS_MAX and secret == secret.strip()
    if not (fits and secret.isascii() and secret.isprintable()):
        raise BadInput(
            INVALID_FIELD, "callback_secret cannot be sent in a header.", field="callback_secret", valid=valid
        )
    return secret


def _expiry(given: Mapping[str, Any]) -> int | None:
    """A time without a zone is UTC."""
    valid = "a time in ISO 8601, such as 2026-01-31T12:00:00Z"
    text = _text(given, "expiry", valid)
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
        return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise BadInput(INVALID_FIELD, f"{text[:100]!r} is no time.", field="expiry", valid=valid) from None


def _check_number(given: Mapping[str, Any], name: str, least: float, most: float) -> None:
    value = given.get(name)
    if value is None:
        return
    whole = isinstance(least, int)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or (whole and not isinstance(value, int)) or not least <= value <= most:
        valid = f"{'a whole number' if whole else 'a number'} from {least} to {most}"
        raise BadInput(INVALID_FIELD, f"{name} cannot be {str(value)[:100]!r}.", field=name, valid=valid)


def _check_whole(given: Mapping[str, Any], name: str) -> None:
    value = given.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise BadInput(INVALID_FIELD, f"{name} cannot be {str(value)[:100]!r}.", field=name, valid="a whole number")
