"""The text of a new `seatrial.toml`: what is known filled in, what is not marked for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.cli.handlers import FoundHandler, HandlerUnclear, Method, Parameter

TASK_FIELD = "task"
_OF_VALUE = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}


def scaffold(
    name: str,
    found: FoundHandler,
    payload: Mapping[str, Any] | None,
    task: str | None,
    samples: frozenset[str] = frozenset(),
) -> tuple[str, str | None]:
    """The manifest's text, and the name under which the payload is its sample (None without one).

    `samples` are the names of those that the package has already; one named as a task is that task's.

    Raises:
        HandlerUnclear: the payload's task is not known.
    """
    methods = _methods(found, payload, task)
    sampled = _sampled(methods, payload, task) if payload is not None else None
    lines = [*_package(name, found)]
    for method in methods:
        own = payload if method.name == sampled else None
        lines += ["", *_task(method, own, has_sample=own is not None or method.name in samples)]
    return "\n".join(lines) + "\n", sampled


def _methods(found: FoundHandler, payload: Mapping[str, Any] | None, task: str | None) -> tuple[Method, ...]:
    """SageMaker's functions take any body: its one task is named by the request, or called `predict`."""
    if found.handler is not None:
        return found.methods
    named = task or (payload or {}).get(TASK_FIELD)
    return (Method(str(named or "predict"), "", (), takes_any=True),)


def _sampled(methods: tuple[Method, ...], payload: Mapping[str, Any] | None, task: str | None) -> str:
    named = task or (payload or {}).get(TASK_FIELD)
    names = [method.name for method in methods]
    if named is None and len(names) == 1:
        return names[0]
    if named not in names:
        what = "the sample does not say which task it is for" if named is None else f"there is no task {named!r}"
        raise HandlerUnclear(what, f"--task with one of {', '.join(names)}")
    return str(named)


def _package(name: str, found: FoundHandler) -> Iterator[str]:
    yield "# What each task takes and returns. The trial runs every sample before the endpoint is in service."
    yield "[package]"
    yield f"name = {_text(_package_name(name))}"
    if found.handler is not None:
        yield f"handler = {_text(found.handler)}"
    else:
        yield "# no handler: SageMaker's code/inference.py serves every task"


def _package_name(name: str) -> str:
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "_.-") else "-" for char in name)
    return kept.lstrip("_.-")[:128] or "package"


def _task(method: Method, payload: Mapping[str, Any] | None, has_sample: bool) -> Iterator[str]:
    table = f"tasks.{_key(method.name)}"
    yield f"[{table}]"
    if method.description:
        yield f"description = {_text(method.description)}"
    fields = {one.name: one for one in method.parameters}
    given = {key: value for key, value in (payload or {}).items() if key != TASK_FIELD}
    if method.takes_any and not given:
        yield "extra_fields = true  # nothing is known of the request: declare its fields below"
    for parameter in fields.values():
        yield from _field(table, parameter, given.get(parameter.name))
    for key, value in given.items():
        if key not in fields:
            yield from _field(table, Parameter(key, "", required=False), value)
    yield from ["", f"[{table}.output]", 'media_type = "application/json"']
    yield f"# schema = {{ type = 'object' }}  # a JSON Schema of the answer; [{table}.output.parts.NAME] for files"
    yield from _sample(table, method, has_sample)


def _sample(table: str, method: Method, has_sample: bool) -> Iterator[str]:
    prefix = "" if has_sample else "# "
    yield ""
    if not has_sample:
        yield "# Without a sample this task is unproven, and the endpoint does not go into service:"
    yield f"{prefix}[[{table}.samples]]"
    yield f"{prefix}input = {_text(f'samples/{method.name}.json')}"


def _field(table: str, parameter: Parameter, value: Any) -> Iterator[str]:
    kind = parameter.type or _OF_VALUE.get(type(value), "")
    yield ""
    yield f"[{table}.input.{_key(parameter.name)}]"
    yield f"type = {_text(kind or 'string')}" + ("" if kind else "  # a guess: the source does not say")
    if kind == "file":
        yield 'form = "path"  # or "bytes", "base64"; type = "image" checks that it is a picture'
    if parameter.required:
        yield "required = true"
    elif isinstance(parameter.default, str | int | float | bool) and kind != "file":
        yield f"default = {_literal(parameter.default)}"


def _literal(value: str | float | bool) -> str:
    return json.dumps(value)


def _text(value: str) -> str:
    return json.dumps(value)


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)
