"""The OpenAPI document of an endpoint, as Cog makes it of a model's types: made of the contract here.

Shapes of replicate/cog 0.23, `pkg/schema/openapi_spec.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.domain.contract import AnswerFiles, Contract, Field, Task
from seatrial.domain.media_types import is_json

FILE_MARK = "x-seatrial-file"  # in a contract's schema: where a file was
URI: Mapping[str, Any] = {"type": "string", "format": "uri"}
_TEXT = {"type": "string"}
_REFUSED = {"$ref": "#/components/schemas/HTTPValidationError"}
_TIMES = ("created_at", "started_at", "completed_at")


def openapi(contract: Contract, predict: Task | None, train: Task | None, version: str) -> dict[str, Any]:
    """The whole document. Without `predict`, the input says itself which of the contract's tasks it is for."""
    schemas: dict[str, Any] = {
        "Input": {"title": "Input", **_input(contract, predict)},
        "Output": {"title": "Output", **_output(predict)},
        **_shared(),
    }
    paths: dict[str, Any] = {
        "/": {"get": _operation("Root", "root__get")},
        "/health-check": {"get": _operation("Healthcheck", "healthcheck_health_check_get")},
    }
    _add(schemas, paths, "Prediction", "/predictions", "Predict", "predict_predictions_post", "Input", "Output")
    if predict is not None and streams(predict):
        paths["/predictions"]["post"]["x-cog-streaming"] = True
    if train is not None:
        schemas["TrainingInput"] = {"title": "TrainingInput", **_input(contract, train)}
        schemas["TrainingOutput"] = {"title": "TrainingOutput", **_output(train)}
        names = ("TrainingInput", "TrainingOutput")
        _add(schemas, paths, "Training", "/trainings", "Train", "train_trainings_post", *names)
    info = {"title": "Cog", "version": version}
    return {"openapi": "3.0.2", "info": info, "paths": paths, "components": {"schemas": schemas}}


def streams(task: Task | None) -> bool:
    """Whether its output is told chunk by chunk."""
    return task is not None and (task.output.schema or {}).get("x-cog-array-type") == "iterator"


def _input(contract: Contract, task: Task | None) -> dict[str, Any]:
    if task is None:
        names = [one.name for one in contract.tasks]
        properties = {contract.task_field: {"title": _title(contract.task_field), "type": "string", "enum": names}}
        return {"type": "object", "additionalProperties": True} | ({"properties": properties} if names else {})
    required = [one.name for one in task.fields if one.required]
    properties = {one.name: _property(one, order) for order, one in enumerate(task.fields)}
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _property(field: Field, order: int) -> dict[str, Any]:
    if field.is_media:
        schema: dict[str, Any] = {"type": "array", "items": dict(URI)} if field.several else dict(URI)
    else:
        schema = _as_openapi_30(field.schema) or {"type": field.type.value}
    told = {"title": _title(field.name), "x-order": order, **schema}
    if field.default is not None:
        told["default"] = field.default
    return told | ({"description": field.description} if field.description else {})


def _as_openapi_30(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`nullable` where JSON Schema has null among the types."""
    told = dict(schema)
    if isinstance(told.get("type"), list):
        kinds = [one for one in told["type"] if one != "null"]
        told |= {"type": kinds[0] if kinds else "string", "nullable": True}
        if "enum" in told:
            told["enum"] = [one for one in told["enum"] if one is not None]
    if "anyOf" in told:
        options = [_as_openapi_30(one) for one in told["anyOf"] if one.get("type") != "null"]
        nullable = len(options) < len(told["anyOf"])
        told = told | {"anyOf": options} if len(options) > 1 else {**_without(told, "anyOf"), **options[0]}
        told |= {"nullable": True} if nullable else {}
    return told


def _output(task: Task | None) -> dict[str, Any]:
    if task is None:
        return {}
    media_type = task.output.media_type
    if task.output.files is AnswerFiles.WHOLE or (media_type is not None and not is_json(media_type)):
        return dict(URI)
    told: dict[str, Any] = _with_uris(task.output.schema or {})
    return told


def _with_uris(schema: Any) -> Any:
    """A file of the answer is a URL on this wire."""
    if isinstance(schema, Mapping):
        if schema.get(FILE_MARK):
            return dict(URI)
        return _as_openapi_30({name: _with_uris(one) for name, one in schema.items()})
    return [_with_uris(one) for one in schema] if isinstance(schema, list) else schema


def _add(
    schemas: dict[str, Any],
    paths: dict[str, Any],
    name: str,
    path: str,
    summary: str,
    operation: str,
    input_name: str,
    output_name: str,
) -> None:
    asked, given = {"$ref": f"#/components/schemas/{input_name}"}, {"$ref": f"#/components/schemas/{output_name}"}
    events = {"type": "array", "items": {"type": "string", "enum": ["start", "output", "logs", "completed"]}}
    beside = {"webhook": dict(URI), "webhook_events_filter": events}
    request = {"id": _titled("Id"), "input": asked, **beside}
    times = {one: {**_titled(_title(one)), "format": "date-time"} for one in _TIMES}
    response = {"input": asked, "output": given, "id": _titled("Id"), "version": _titled("Version"), **times}
    response |= {one: _titled(_title(one)) for one in ("status", "error", "logs")}
    response["metrics"] = {"title": "Metrics", "type": "object"}
    schemas[f"{name}Request"] = {"title": f"{name}Request", "type": "object", "properties": request}
    schemas[f"{name}Response"] = {"title": f"{name}Response", "type": "object", "properties": response}
    wanted = {"$ref": f"#/components/schemas/{name}Request"}
    answer = {"$ref": f"#/components/schemas/{name}Response"}
    body = {"requestBody": {"content": {"application/json": {"schema": wanted}}}}
    parameter = f"{name.lower()}_id"
    named = {"name": parameter, "in": "path", "required": True, "schema": _titled(_title(parameter))}
    paths[path] = {"post": {**_operation(summary, operation, answer), **body}}
    paths[f"{path}/{{{parameter}}}"] = {
        "put": {**_operation(f"{summary} once", f"{operation[:-5]}_put", answer), **body, "parameters": [named]},
        "get": {**_operation(f"{name} as it is", f"{operation[:-5]}_get", answer), "parameters": [named]},
    }
    cancel = _operation("Cancel", f"cancel_{operation[:-5]}_post")
    paths[f"{path}/{{{parameter}}}/cancel"] = {"post": {**cancel, "parameters": [named]}}


def _operation(summary: str, operation: str, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    answers = {"200": _response("Successful Response", schema or {})}
    if schema is not None:
        answers["422"] = _response("Validation Error", _REFUSED)
    return {"summary": summary, "operationId": operation, "responses": answers}


def _response(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": dict(schema)}}}


def _shared() -> dict[str, Any]:
    fault = {
        "loc": {
            "title": "Location",
            "type": "array",
            "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        },
        "msg": _titled("Message"),
        "type": _titled("Error Type"),
    }
    faults = {"title": "Detail", "type": "array", "items": {"$ref": "#/components/schemas/ValidationError"}}
    states = ["starting", "processing", "succeeded", "canceled", "failed"]
    return {
        "Status": {"title": "Status", "description": "An enumeration.", "enum": states, "type": "string"},
        "HTTPValidationError": {"title": "HTTPValidationError", "type": "object", "properties": {"detail": faults}},
        "ValidationError": {
            "title": "ValidationError",
            "required": ["loc", "msg", "type"],
            "type": "object",
            "properties": fault,
        },
    }


def _titled(title: str) -> dict[str, Any]:
    return {"title": title, **_TEXT}


def _title(name: str) -> str:
    """`num_steps` as `Num Steps`."""
    return " ".join(word.capitalize() for word in name.split("_"))


def _without(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != name}
