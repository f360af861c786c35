"""What is told of an exception that user code raised."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from types import ModuleType, TracebackType
from typing import Any, Optional

# ruff: noqa: TID252, UP045  (private package name; Python 3.9)
from . import protocol
from .causes import HANDLER, Cause, cause_of

# Frames above the user's own: ours, and those of the import that we asked for.
_NOT_THE_USERS = (os.path.dirname(os.path.abspath(__file__)) + os.sep, importlib.__file__, "<frozen importlib.")


class HandlerUnusable(Exception):
    """The package does not have what its layout needs; the message says what to add."""

    remedy = "Mend the package as the message says, then deploy again."


def describe(error: BaseException) -> dict[str, Any]:
    """`error_type`, `message` and `details` as in `protocol.Failed`.

    An exception may bring its own `error_type`, `field`, `valid`, `remedy` and `details`.
    """
    return _told(error, cause_of(error))


def describe_load(error: BaseException, order: dict[str, Any]) -> dict[str, Any]:
    """The same for an exception while loading, whose message begins with its class: no client reads it alone."""
    told = _told(error, HANDLER._replace(remedy=load_remedy(error, order)))
    if not _is_ours(error):
        told["message"] = f"{_class_name(error)}: {told['message']}"[: protocol.MESSAGE_CHARS_MAX]
    return told


def _told(error: BaseException, cause: Cause) -> dict[str, Any]:
    error_type = getattr(error, "error_type", None)
    details: dict[str, Any] = {}
    if not _is_ours(error):
        details.update(exception=_class_name(error), traceback=last_lines(error))
    for name in ("field", "valid", "remedy"):
        value = getattr(error, name, None)
        if isinstance(value, (str, int, float, list, tuple)):
            details[name] = value
    own = getattr(error, "details", None)
    if isinstance(own, dict):
        details.update({str(key): value for key, value in own.items()})
    if not details.get("remedy") and not details.get("valid"):
        details.pop("remedy", None)
        details = {"remedy": cause.remedy, **details}  # first: what comes last may be cut
    return {
        "error_type": error_type[: protocol.NAME_CHARS_MAX]
        if isinstance(error_type, str) and error_type
        else cause.error_type,
        "message": _message(error)[: protocol.MESSAGE_CHARS_MAX],
        "details": _sendable(details),
    }


def load_remedy(error: BaseException, order: dict[str, Any]) -> str:
    """What to do about an exception while loading."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _module_remedy(error, error.name, order["package"])
    if isinstance(error, ImportError):
        return "Mend the import, or require a release of the library that has the name, then deploy again."
    return f"Mend the handler's loading code; `seatrial logs {order['endpoint_name']}` has the whole output."


def _module_remedy(error: BaseException, name: str, package: str) -> str:
    """Who lacks the module tells where it belongs: a part of the user's own, a library's, or either."""
    above = sys.modules.get(name.partition(".")[0])
    if above is not None and _is_within(package, _place(above)):
        return f"Add {name} to the package, then deploy again."
    if above is not None or not _is_within(package, _raised_in(error)):
        return f"Add {name} to requirements.txt, then deploy again."
    return f"Add {name} to requirements.txt or, if it is your own, to the package, then deploy again."


def _raised_in(error: BaseException) -> str:
    """The file with the import statement."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return next((file for file in reversed(files) if not file.startswith(_NOT_THE_USERS)), "")


def _place(module: ModuleType) -> str:
    folders = getattr(module, "__path__", ())
    return getattr(module, "__file__", None) or next(iter(folders), "")


def _is_within(folder: str, path: str) -> bool:
    """As it is named, or where links lead: without a mount namespace the package is made of links."""
    forms = (os.path.abspath, os.path.realpath)
    return any(form(path).startswith(form(folder) + os.sep) for form in forms)


def _is_ours(error: BaseException) -> bool:
    return type(error).__module__.startswith(__package__ + ".")


def _class_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


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


def last_lines(error: BaseException) -> str:
    """Its traceback from the user's own frames on, as far as it may be told."""
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
