"""Answers that say themselves that they are none: a status 200 around "it failed" is a failure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from seatrial.domain.errors import MOCK_OUTPUT, SOFT_FAILURE
from seatrial.domain.failures import Failure
from seatrial.domain.limits import VALUE_SHOWN_CHARS_MAX

FAILED = frozenset({"failed", "failure", "error"})
_WORDS = ("message", "detail", "reason", "status_message")
_SWITCH = "If such an answer is a result here, set soft_failures = false in the task's [output]."


def soft_failure(answer: Any) -> Failure | None:
    """Why a JSON answer is no result, in the handler's own words; None: it may be one.

    A failure is an object whose `status` is "failed" or "error", whose `error` is a text or an object that is
    not empty, or in which a field `…_mock` is true. An `error` that is a number is data.
    """
    if not isinstance(answer, Mapping):
        return None
    mock = next((name for name, value in answer.items() if name.endswith("_mock") and value is True), None)
    if mock is not None:
        message = f"The answer is marked {mock!r}: the handler made it up, since its model did not work."
        return Failure(MOCK_OUTPUT, message, {"field": mock, "remedy": f"Let the handler raise instead. {_SWITCH}"})
    error = answer.get("error")
    status = answer.get("status")
    said_failed = isinstance(status, str) and status.lower() in FAILED
    if not said_failed and not (isinstance(error, str | Mapping) and error):
        return None
    error_type = answer.get("error_type")
    kept = {"answer": _shortened(answer), "remedy": _SWITCH}
    return Failure(error_type if isinstance(error_type, str) and error_type else SOFT_FAILURE, _said(answer), kept)


def _said(answer: Mapping[str, Any]) -> str:
    """The handler's own words."""
    error = answer.get("error")
    while isinstance(error, Mapping):
        if not any(isinstance(error.get(word), str) for word in ("error", *_WORDS)):
            return json.dumps(error, ensure_ascii=False, default=repr)
        answer, error = error, error.get("error")
    if isinstance(error, str) and error.strip():
        return error
    for word in _WORDS:
        if isinstance(answer.get(word), str) and answer[word].strip():
            return str(answer[word])
    return f"The handler answered with the status {answer.get('status')!r} and no message."


def _shortened(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The plain fields of the answer, long texts cut: enough to know it by."""
    plain = {name: value for name, value in answer.items() if isinstance(value, str | int | float | bool | None)}
    return {name: _cut(value) for name, value in list(plain.items())[:20]}


def _cut(value: Any) -> Any:
    long = isinstance(value, str) and len(value) > VALUE_SHOWN_CHARS_MAX
    return value[:VALUE_SHOWN_CHARS_MAX] + "…" if long else value
