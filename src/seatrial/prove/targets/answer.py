"""How a request ended, with what it left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How it stands with a job. Only `pending` may still change."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Part:
    """One object of an answer. `location`: where it lies, as the wire names it. `sha256`: as the server says."""

    name: str
    data: bytes
    media_type: str
    location: str = ""
    sha256: str | None = None

    def document(self) -> Any:
        """The bytes as JSON.

        Raises:
            ValueError: they are none.
        """
        return json.loads(self.data)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no result, in the server's own words. `structured`: as JSON with a message that can be read."""

    message: str
    error_type: str | None = None
    field: str | None = None
    document: Any = None
    structured: bool = False

    @property
    def remedy(self) -> str:
        """What the server says to do, or what would have been valid; empty where it says neither."""
        told = self.document if isinstance(self.document, dict) else {}
        if isinstance(told.get("remedy"), str):
            return str(told["remedy"])
        return f"valid: {told['valid']}" if isinstance(told.get("valid"), str) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`seconds` from the request to the end as the client sees it. The first part is the primary one.

    `evidence` is plain JSON of what the server said: identifiers, locations, times. `unasked` says why no output was to
    be had of this job; empty: it was. `uncarried` says what of an answer its wire never carries; empty: nothing.
    """

    state: State
    seconds: float
    parts: tuple[Part, ...] = ()
    failure: Failure | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    unasked: str = ""
    uncarried: str = ""

    @property
    def primary(self) -> Part | None:
        """The result itself."""
        return self.parts[0] if self.parts else None

    @property
    def words(self) -> str:
        """Why it did not succeed, in a line."""
        said = f": {self.failure.message}" if self.failure and self.failure.message else ""
        return f"{self.state.value.replace('_', ' ')}{said}"


def failure_of(document: Any, fallback: str = "") -> Failure:
    """The failure that a document tells of, in any of the shapes that servers use.

    RFC 9457 (`detail`), AWS (`Message`, `__type`), ours and SageMaker handlers' (`message`, `error`), FastAPI's list of
    `detail`, RunPod's error that is itself JSON.
    """
    if isinstance(document, str):
        try:
            inner = json.loads(document)
        except ValueError:
            inner = None
        return failure_of(inner, document) if isinstance(inner, dict) else Failure(document or fallback)
    if not isinstance(document, dict):
        return Failure(fallback, document=document)
    message = next((text for key in _MESSAGE_KEYS if (text := _text(document.get(key)))), "")
    kind = next((document[key] for key in _TYPE_KEYS if isinstance(document.get(key), str)), None)
    where = document.get("field")
    if where is None and isinstance(document.get("detail"), list):
        where = _place(document["detail"])
    return Failure(message or fallback, kind, where if isinstance(where, str) else None, document, bool(message))


_MESSAGE_KEYS = ("detail", "error_message", "message", "Message", "error", "failureReason", "title")
_TYPE_KEYS = ("error_type", "__type", "errorType", "code", "type")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and isinstance(value[0], dict):
        one = value[0]
        place = ".".join(str(part) for part in one.get("loc", ()))
        return f"{place}: {one.get('msg', '')}".strip(": ")
    if isinstance(value, dict):
        return failure_of(value).message
    return ""


def _place(problems: list[Any]) -> str | None:
    first = problems[0] if problems else None
    place = first.get("loc") if isinstance(first, dict) else None
    return str(place[-1]) if place else None
