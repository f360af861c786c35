"""What is told of an exception that user code raised."""

from __future__ import annotations

import importlib
import json
import os
import traceback
from types import TracebackType
from typing import Any, Optional

# ruff: noqa: TID252, UP045  (private package name; Python 3.9)
from . import protocol

HANDLER_ERROR = "handler_error"
# Frames above the user's own: ours, and those of the import that we asked for.
_NOT_THE_USERS = (os.path.dirname(os.path.abspath(__file__)) + os.sep, importlib.__file__, "<frozen importlib.")


class HandlerUnusable(Exception):
    """The package does not have what its layout needs; the message says what to add."""


def describe(error: BaseException) -> dict[str, Any]:
    """`error_type`, `message` and `details` as in `protocol.Failed`.

    An exception may bring its own `error_type`, `field`, `valid` and `details`.
    """
    error_type = getattr(error, "error_type", None)
    details: dict[str, Any] = {"exception": _class_name(error), "traceback": _last_lines(error)}
    for name in ("field", "valid"):
        value = getattr(error, name, None)
        if isinstance(value, (str, int, float, list, tuple)):
            details[name] = value
    own = getattr(error, "details", None)
    if isinstance(own, dict):
        details.update({str(key): value for key, value in own.items()})
    return {
        "error_type": error_type[: protocol.NAME_CHARS_MAX]
        if isinstance(error_type, str) and error_type
        else HANDLER_ERROR,
        "message": _message(error)[: protocol.MESSAGE_CHARS_MAX],
        "details": _sendable(details),
    }


def describe_load(error: BaseException) -> dict[str, Any]:
    """The same for an exception while loading, whose message begins with its class: no client reads it alone."""
    told = describe(error)
    if not isinstance(error, HandlerUnusable):
        told["message"] = f"{_class_name(error)}: {told['message']}"[: protocol.MESSAGE_CHARS_MAX]
    return told


def _class_name(error: BaseException) -> str:
    kind = type(error)
    is_plain = kind.__module__ == "builtins" or kind.__module__.startswith(__package__)
    return kind.__qualname__ if is_plain else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the handler called sys.exit({error.code!r})"
    said = getattr(error, "message", None)  # the toolkit's errors keep their words here, and str() is a tuple
    if isinstance(said, str) and hasattr(error, "status_code"):
        return said
    try:
        return str(error) or _class_name(error)
    except Exception:  # noqa: BLE001  user code: its __str__ may raise anything
        return _class_name(error)


def _last_lines(error: BaseException) -> str:
    frames: Optional[TracebackType] = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        frames = frames.tb_next
    try:
        lines = traceback.format_exception(type(error), error, frames)
    except Exception as failed:  # noqa: BLE001  user code: its __str__ may raise anything
        lines = [f"(no traceback: {type(failed).__name__} while formatting it)"]
    return "".join(lines)[-protocol.TRACEBACK_CHARS_MAX :]


def _sendable(details: dict[str, Any]) -> dict[str, Any]:
    """What fits into a header; of the others, how they begin."""
    sendable: dict[str, Any] = {}
    left = protocol.DETAILS_CHARS_MAX
    for key, value in details.items():
        name = key[: protocol.NAME_CHARS_MAX]
        size = _json_chars(value)
        if size is None or size > left:
            sendable[name] = _beginning(value)[:left]
            size = len(sendable[name])
        else:
            sendable[name] = value
        left -= size + len(name)
        if left <= 0:
            break
    return sendable


def _json_chars(value: Any) -> Optional[int]:
    """How long it is as JSON; None if JSON cannot carry it."""
    try:
        return len(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return None


def _beginning(value: Any) -> str:
    try:
        return repr(value)[: protocol.MESSAGE_CHARS_MAX]
    except Exception:  # noqa: BLE001  user code: its __repr__ may raise anything
        return f"a {type(value).__name__}"
