"""Problem details (RFC 9457): the one shape of every error of the native API."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.fields import FieldInfo
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from seatrial.domain import errors
from seatrial.domain.errors import BadInput, Busy, Conflict, Forbidden, NotFound, SeatrialError, Unproven
from seatrial.domain.limits import VALUE_SHOWN_CHARS_MAX
from seatrial.ports.storage import StoreUnavailable, as_unavailable

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
UNAUTHENTICATED = "unauthenticated"
NO_SUCH_ROUTE = "no_such_route"
METHOD_NOT_ALLOWED = "method_not_allowed"
NOT_OFFERED = "not_offered"
RESULT_GONE = "result_gone"

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
_PLACES = frozenset({"body", "query", "path", "header"})
_TYPE_WORDS: Mapping[str, str] = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": 'a JSON object of texts, such as {"NAME": "VALUE"}',
}
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
    return refused(request, invalid(error.errors()[0], _schema_of(request, error.errors()[0]["loc"])))


def invalid(fault: Mapping[str, Any], schema: Mapping[str, Any]) -> BadInput:
    """What pydantic says of a request, in our words.

    `fault` is one of its `errors()`, `schema` the JSON Schema of the object whose fields were checked.
    """
    kind = str(fault["type"])
    if kind == "json_invalid":
        return BadInput(
            errors.MALFORMED_INPUT, f"The body is not JSON: {fault['ctx']['error']}.", valid="a JSON object"
        )
    steps = [step for step in fault["loc"] if isinstance(step, str)]  # which of a list's items is at fault says little
    steps = steps[1:] if steps and steps[0] in _PLACES else steps
    field = ".".join(steps) or "body"
    known = schema.get("properties", {})
    if kind == "extra_forbidden":
        return BadInput(errors.UNKNOWN_FIELD, f"There is no field {field!r}.", field=field, valid=", ".join(known))
    valid = valid_words(known.get(steps[0], {}), schema.get("$defs", {})) if steps else "a JSON object"
    if kind == "missing":
        return BadInput(errors.MISSING_FIELD, f"{field} is missing.", field=field, valid=valid)
    given = fault["input"]
    said = f"{field} cannot be {str(given)[:VALUE_SHOWN_CHARS_MAX]!r}" if _is_plain(given) else f"{field} is not valid"
    return BadInput(errors.INVALID_FIELD, f"{said}.", field=field, valid=valid)


def valid_words(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a JSON Schema of one field allows, for people. `definitions` are those that its `$ref` names."""
    if "$ref" in schema:
        return valid_words(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return " or ".join(valid_words(one, definitions) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "items" in schema:
        return valid_words(schema["items"], definitions)
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None:
        return f"{least} to {most}" if most is not None else f"a whole number of at least {least}"
    if "maxLength" in schema:
        return f"{schema.get('minLength', 0)} to {schema['maxLength']} characters"
    if "minLength" in schema:
        return f"a text of at least {schema['minLength']} characters"
    return _TYPE_WORDS.get(schema.get("type", ""), "a value of another kind")


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool))


def _schema_of(request: Request, loc: tuple[str | int, ...]) -> Mapping[str, Any]:
    """The JSON Schema of the parameters, or of the body, of a route of FastAPI's."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return {}
    if loc[0] == "body":
        fields = [route.body_field] if route.body_field else []
    else:
        fields = [*route.dependant.query_params, *route.dependant.path_params]
    return _object_schema({field.alias: field.field_info for field in fields})


def _object_schema(fields: Mapping[str, FieldInfo]) -> Mapping[str, Any]:
    """One object's schema with the properties of all; a model among the fields stands for its own fields."""
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for name, field in fields.items():
        annotation: Any = field.annotation
        of_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        schema = TypeAdapter(annotation if of_model else Annotated[annotation, field]).json_schema()
        definitions |= schema.pop("$defs", {})
        properties |= schema["properties"] if of_model else {name: schema}
    return {"properties": properties, "$defs": definitions}


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
    message = "The server's storage does not answer; nothing was accepted, and nothing accepted is lost."
    return refused(request, Busy(errors.STORE_UNAVAILABLE, message))


async def _on_disconnect(request: Request, error: Exception) -> Response:
    """Nobody reads this; it only ends the request without the look of a defect."""
    return problem(request, 400, errors.MALFORMED_INPUT, "The connection ended before the body did.")


async def _on_defect(request: Request, error: Exception) -> Response:
    """The named edge: a defect of ours is logged whole, and the answer says nothing of its inside."""
    if as_unavailable(error) is not None:
        return await _on_store_away(request, error)
    defect = secrets.token_hex(8)
    log.error("http.defect", id=defect, method=request.method, path=request.url.path, exc_info=error)
    members = {"id": defect, "remedy": f"Find {defect} in the server's log, and report it."}
    return problem(request, 500, errors.INTERNAL_ERROR, "The server failed to handle this request.", members)


_HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    SeatrialError: _on_ours,
    RequestValidationError: _on_invalid,
    HTTPException: _on_http,
    StoreUnavailable: _on_store_away,
    ClientDisconnect: _on_disconnect,
    Exception: _on_defect,
}
