"""Problem details (RFC 9457): the one shape of every error of the native API."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from seatrial.domain import errors
from seatrial.domain.errors import BadInput, Busy, Conflict, Forbidden, NotFound, SeatrialError, Unproven
from seatrial.ports.job_store import StoreUnavailable

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
UNAUTHENTICATED = "unauthenticated"
NO_SUCH_ROUTE = "no_such_route"
METHOD_NOT_ALLOWED = "method_not_allowed"
RESULT_GONE = "result_gone"
STORE_UNAVAILABLE = "store_unavailable"
INTERNAL_ERROR = "internal_error"

_STATUS: Mapping[type[SeatrialError], int] = {
    BadInput: 422,
    NotFound: 404,
    Conflict: 409,
    Busy: 503,
    Forbidden: 403,
    Unproven: 422,
}
_STATUS_BY_WORD: Mapping[str, int] = {
    errors.MALFORMED_INPUT: 400,
    errors.PAYLOAD_TOO_LARGE: 413,
    errors.MEDIA_TOO_LARGE: 413,
    errors.UNSUPPORTED_MEDIA_TYPE: 415,
    errors.QUEUE_FULL: 429,
    RESULT_GONE: 410,
}
_WORD_BY_STATUS: Mapping[int, str] = {404: NO_SUCH_ROUTE, 405: METHOD_NOT_ALLOWED, 413: errors.PAYLOAD_TOO_LARGE}
_VALID_BY_STATUS: Mapping[int, str] = {404: "a path of /v1/openapi.json; people read it at /docs"}


class Problem(BaseModel):
    """An error, as RFC 9457 has it, with the words that programs read. More members may follow."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="A URN that ends in error_type.", examples=["urn:seatrial:error:queue_full"])
    title: str = Field(description="The error_type as words.", examples=["Queue full"])
    status: int = Field(description="The HTTP status.", examples=[429])
    detail: str = Field(description="What went wrong, for people.")
    instance: str = Field(description="The path of the request.")
    error_type: str = Field(description="The stable word that programs read.", examples=["queue_full"])
    field: str | None = Field(None, description="The field at fault.")
    valid: str | None = Field(None, description="What would be valid.")
    remedy: str | None = Field(None, description="What to do about it.")
    id: str | None = Field(None, description="With status 500: find this word in the server's log.")


class Unauthenticated(SeatrialError):
    """No API key, or one that nobody has."""


def status_of(error: SeatrialError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, Unauthenticated):
        return 401
    by_word = _STATUS_BY_WORD.get(error.error_type)
    if by_word is not None:
        return by_word
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)


def problem(
    request: Request,
    status: int,
    error_type: str,
    detail: str,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document. `members` are further ones: field, valid, remedy, …"""
    body = {
        "type": f"urn:seatrial:error:{error_type}",
        "title": error_type.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "error_type": error_type,
    }
    whole = dict(members or {}) | body
    return Response(json.dumps(whole, default=str), status, headers, MEDIA_TYPE)


def refused(request: Request, error: SeatrialError) -> Response:
    """The problem document of one of ours."""
    headers: dict[str, str] = {}
    members = error.details
    if isinstance(error, Busy):
        headers["Retry-After"] = str(error.retry_after_seconds)
        members.setdefault("remedy", f"Try again in {error.retry_after_seconds} s.")
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="seatrial"'
    return problem(request, status_of(error), error.error_type, error.message, members, headers)


def handle_errors(app: FastAPI) -> None:
    """Let every error of an app leave it as a problem document."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)


async def problem_of(request: Request, error: Exception) -> Response:
    """The problem document of any error, for routes outside of an app."""
    for kind, handler in _HANDLERS.items():
        if isinstance(error, kind):
            return await handler(request, error)
    raise AssertionError("the last handler takes every Exception")


async def _on_ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, SeatrialError):
        raise TypeError(type(error))
    return refused(request, error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise TypeError(type(error))
    return refused(request, invalid(error.errors()[0]))


def invalid(fault: Mapping[str, Any]) -> BadInput:
    """What pydantic says of a request, in our words. `fault` is one of its `errors()`."""
    kind = str(fault["type"])
    if kind == "json_invalid":
        return BadInput(errors.MALFORMED_INPUT, f"The body is not JSON: {fault['msg']}.", valid="a JSON object")
    places = {"body", "query", "path", "header"}
    loc = [str(step) for step in fault["loc"]]
    field = ".".join(loc[1:] if len(loc) > 1 and loc[0] in places else loc) or "body"
    word = {"missing": errors.MISSING_FIELD, "extra_forbidden": errors.UNKNOWN_FIELD}.get(kind, errors.INVALID_FIELD)
    return BadInput(word, f"{field}: {fault['msg']}.", field=field, valid=str(fault["msg"]))


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(type(error))
    status = error.status_code
    word = _WORD_BY_STATUS.get(status, f"http_{status}")
    said = {404: f"There is nothing at {request.url.path}.", 405: f"{request.method} is not offered here."}
    valid = (error.headers or {}).get("Allow") or _VALID_BY_STATUS.get(status)
    members = {"valid": valid} if valid else {}
    return problem(request, status, word, said.get(status, error.detail), members, error.headers)


async def _on_store_away(request: Request, error: Exception) -> Response:
    log.warning("http.store_unavailable", path=request.url.path, error=str(error))
    return refused(request, Busy(STORE_UNAVAILABLE, "The job store does not answer; nothing is known to be lost."))


async def _on_disconnect(request: Request, error: Exception) -> Response:
    """Nobody reads this; it only ends the request without the look of a defect."""
    return problem(request, 400, errors.MALFORMED_INPUT, "The connection ended before the body did.")


async def _on_defect(request: Request, error: Exception) -> Response:
    """The named edge: a defect of ours is logged whole, and the answer says nothing of its inside."""
    defect = secrets.token_hex(8)
    log.error("http.defect", id=defect, method=request.method, path=request.url.path, exc_info=error)
    members = {"id": defect, "remedy": f"Find {defect} in the server's log, and report it."}
    return problem(request, 500, INTERNAL_ERROR, "The server failed to handle this request.", members)


_HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    SeatrialError: _on_ours,
    RequestValidationError: _on_invalid,
    HTTPException: _on_http,
    StoreUnavailable: _on_store_away,
    ClientDisconnect: _on_disconnect,
    Exception: _on_defect,
}
