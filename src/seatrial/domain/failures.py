"""The failure object: one document that every client in the wild can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial.domain.json_text import json_bytes
from seatrial.domain.limits import FAILURE_MESSAGE_CHARS_MAX
from seatrial.domain.meanings import MEANINGS


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job has no result.

    `error_type` is a word of `domain/errors.py` or the handler's own; `details` may hold `field`, `valid`,
    `traceback`, `remedy`, `exit_code`, `signal`.
    """

    error_type: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


def failure_document(failure: Failure, job_id: str, attempt: int) -> dict[str, Any]:
    """The document as clients read it: status, message, error, error_type, job_id, attempt, details.

    A failure that brings no remedy of its own gets that of its type.
    """
    message, details = failure.message, dict(failure.details)
    meaning = MEANINGS.get(failure.error_type)
    if meaning is not None and not details.get("remedy") and not details.get("valid"):
        details["remedy"] = meaning.remedy
    if len(message) > FAILURE_MESSAGE_CHARS_MAX:
        message = message[:FAILURE_MESSAGE_CHARS_MAX] + "…"
    return {
        "status": "error",
        "message": message,
        "error": message,
        "error_type": failure.error_type,
        "job_id": job_id,
        "attempt": attempt,
        "details": details,
    }


def failure_body(document: Mapping[str, Any]) -> bytes:
    """The bytes of the failure object."""
    return json_bytes(document)
