"""The OpenAPI document: what FastAPI knows of its routes, and the plain routes written out here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from seatrial.domain.limits import PRESIGNED_SECONDS_MAX
from seatrial.http.api.submission import JobOptions
from seatrial.http.api.views import JobAccepted, JobView
from seatrial.http.errors import MEDIA_TYPE, Problem

_SCHEMAS = "#/components/schemas/"
_FASTAPI_INVALID = "Validation Error"  # what FastAPI says of 422 for every route; ours are all the default
_DESCRIPTION = """\
Deploy a package, submit jobs, fetch results. Every request carries the API key
(`Authorization: Bearer $SEATRIAL_API_KEY`; `eval "$(seatrial env)"` sets it). Every error is one shape, RFC 9457
problem details with an `error_type` that programs can read. A job that ends without a result has a failure
document, which its result route returns with a fitting status."""


class FailureDocument(BaseModel):
    """Why a job has no result; the same document is the failure object."""

    status: str
    message: str
    error: str
    error_type: str
    job_id: str
    attempt: int
    details: dict[str, Any]


def openapi_route(app: FastAPI) -> Route:
    """`/v1/openapi.json`, made once when it is first asked for."""
    made: list[dict[str, Any]] = []

    async def openapi(request: Request) -> Response:
        if not made:
            made.append(openapi_document(app))
        return JSONResponse(made[0])

    return Route("/v1/openapi.json", openapi, methods=["GET"])


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 of every native route."""
    document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (JobView, JobAccepted, Problem, FailureDocument):
        schema = model.model_json_schema(ref_template=_SCHEMAS + "{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for path, operations in _plain_routes().items():
        document["paths"].setdefault(path, {}).update(operations)
    _secure(document)
    _one_error_shape(document)
    document["paths"] = dict(sorted(document["paths"].items()))
    return document


def _secure(document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    document["security"] = [{"bearer": []}, {"header": []}]
    document["paths"]["/healthz"]["get"]["security"] = []


def _one_error_shape(document: dict[str, Any]) -> None:
    problem = {"description": "Any error", "content": {MEDIA_TYPE: {"schema": _ref(Problem)}}}
    for operations in document["paths"].values():
        for operation in operations.values():
            if operation["responses"].get("422", {}).get("description") == _FASTAPI_INVALID:
                del operation["responses"]["422"]
            operation["responses"]["default"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)


# ---------------------------------------------------------------- the plain routes


def _plain_routes() -> dict[str, dict[str, Any]]:
    return {
        "/v1/endpoints/{name}/jobs": {"post": _submit()},
        "/v1/jobs/{id}": {"get": _show()},
        "/v1/jobs/{id}/result": {"get": _result()},
        "/healthz": {"get": _health()},
        "/metrics": {"get": _metrics()},
    }


def _metrics() -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return _operation(
        "server",
        "Metrics",
        "Counters of jobs and canaries since the server's start, and gauges of endpoints, workers and jobs, in the "
        "text format that Prometheus reads.",
        [],
        {"200": {"description": "Every figure as it is now", "content": text}},
    )


def _submit() -> dict[str, Any]:
    options = JobOptions.model_json_schema()["properties"]
    query = [_parameter(name, "query", schema) for name, schema in options.items()]
    headers = [
        _parameter("Idempotency-Key", "header", {"description": "The same key gives the same job.", "type": "string"}),
        _parameter("Prefer", "header", {"description": "`wait=N`: wait up to N seconds.", "type": "string"}),
    ]
    anything = {"application/json": {"schema": {}}, "multipart/form-data": {"schema": {"type": "object"}}}
    raw = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    return _operation(
        "jobs",
        "Submit a job",
        "The body is the handler's payload: JSON; a form, whose parts are its fields; or the bytes of the task's only "
        "media field (image/png, …). Each query parameter may also be a header, `X-Seatrial-Ttl-Seconds: 60`. "
        "A job that was accepted is durable.",
        [_parameter("name", "path", {"type": "string"}), *query, *headers],
        {
            "202": _answer("The job is accepted", JobAccepted),
            "200": _answer("With `Prefer: wait=N`: the job has ended", JobView),
        },
        {"required": False, "content": anything | raw},
    )


def _show() -> dict[str, Any]:
    return _operation(
        "jobs",
        "Show a job",
        "Its state, what it waits for and until when, its parts or its failure.",
        [_parameter("id", "path", {"type": "string"}), _wait(), _urls()],
        {"200": _answer("The job", JobView)},
    )


def _result() -> dict[str, Any]:
    problem = {MEDIA_TYPE: {"schema": _ref(Problem)}}
    failed = _answer("The job has no result: 422 input, 409 cancelled, 504 timeouts, 500 the rest", FailureDocument)
    failed["content"].update(problem)  # the request may be at fault too: a part that is none
    gone = {"description": "The result object was deleted or replaced", "content": problem}
    part = {"type": "string", "default": "result", "description": "A part's name, such as overlay."}
    return _operation(
        "jobs",
        "Fetch a result",
        "The bytes, with their media type.",
        [_parameter("id", "path", {"type": "string"}), _wait(), _parameter("part", "query", part)],
        {
            "200": {"description": "The bytes", "content": {"*/*": {"schema": {}}}},  # of any kind, JSON too
            "202": _answer("Not ended yet", JobView),
            "409": failed,
            "410": gone,
            "422": failed,
            "500": failed,
            "504": failed,
        },
    )


def _health() -> dict[str, Any]:
    parts = {"content": {"application/json": {"schema": {"type": "object"}}}}
    well, down = {"description": "Every part answers", **parts}, {"description": "A part is down", **parts}
    text = "Names each part, `ok` or `down`. Needs no key."
    return _operation("health", "Is the server well?", text, [], {"200": well, "503": down})


def _operation(
    tag: str,
    summary: str,
    description: str,
    parameters: list[dict[str, Any]],
    responses: Mapping[str, Any],
    body: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    said = {"tags": [tag], "summary": summary, "description": description, "parameters": parameters}
    return said | {"responses": dict(responses)} | ({"requestBody": body} if body else {})


def _parameter(name: str, place: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in schema.items() if key not in ("title", "description")}
    said = {"name": name, "in": place, "required": place == "path", "schema": plain}
    return said | ({"description": schema["description"]} if "description" in schema else {})


def _wait() -> dict[str, Any]:
    return _parameter("wait", "query", {"type": "integer", "description": "Seconds to wait for the end, at most 60."})


def _urls() -> dict[str, Any]:
    said = f"Give each part a signed URL that is good for so many seconds, at most {PRESIGNED_SECONDS_MAX}."
    return _parameter("urls", "query", {"type": "integer", "description": said})


def _answer(description: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(model)}}}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _SCHEMAS + model.__name__}
