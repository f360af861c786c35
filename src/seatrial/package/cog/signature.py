"""The contract that a Cog package's code declares: the parameters of `predict` (or `run`) and `train`.

Read by the syntax, as Cog itself reads it when it builds an image (replicate/cog `pkg/schema`): nothing is run. What
Cog makes of a parameter is described in its `docs/python.md`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seatrial.domain.contract import Field, FieldType, MediaForm, Output, Task
from seatrial.package.cog.annotations import Read, read_answer, read_input
from seatrial.package.cog.scope import Scope, Unreadable, value_of
from seatrial.package.source import Function, Unparsable, read_source

PREDICT = "predict"
TRAIN = "train"
METHODS = ("run", "predict")
_INPUTS = frozenset({"cog.Input", "cog.input.Input"})
_LIMITS = {  # of Input: the words of JSON Schema
    "ge": "minimum",
    "le": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "regex": "pattern",
    "choices": "enum",
}
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Doubt:
    """What the code does not let one tell: `fault` of the input `name` at `line` of `file`; a limit, or its type."""

    name: str
    fault: str
    file: str
    line: int


@dataclass(slots=True)
class Signature:
    """A task as its code declares it. `doubts` are what could not be read, `streams` says that chunks are yielded."""

    task: Task
    doubts: list[Doubt] = field(default_factory=list)


def read_signature(root: Path, ref: str, task: str) -> Signature | None:
    """The signature behind `file.py:Name`; None where it cannot be found in the package (a check says why)."""
    file, _, name = ref.partition(":")
    path = root / file
    try:
        if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
            return None
        scope = Scope(read_source(root, path), root, path.parent)
    except (Unparsable, ValueError):
        return None
    found = _function(scope, name)
    return None if found is None else _read(*found, task=task, ref=ref)


def _function(scope: Scope, name: str) -> tuple[Scope, Function, bool] | None:
    """The function that is called, where it is, and whether it is a method."""
    found = scope.definition(name)
    if found is None:
        return None
    where, definition = found
    if not isinstance(definition, ast.ClassDef):
        return where, definition, False
    method = where.method(definition, METHODS)
    return None if method is None else (*method, True)


def _read(scope: Scope, function: Function, is_method: bool, *, task: str, ref: str) -> Signature:
    signature = Signature(Task(task))
    fields = [
        _field(scope, argument, default, signature.doubts)
        for argument, default in _parameters(function, skips_first=is_method and not _is_static(function))
    ]
    schema, files = read_answer(function.returns, scope)
    signature.task = Task(
        name=task,
        description=(ast.get_docstring(function) or "").strip(),
        method=function.name if task == PREDICT else ref,
        fields=tuple(one for one in fields if one is not None),
        output=Output(schema=schema, files=files),
        exclusive=task == TRAIN,
    )
    return signature


def _is_static(function: Function) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in function.decorator_list)


def _parameters(function: Function, *, skips_first: bool) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    given = function.args
    named = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [None] * (len(named) - len(given.defaults))
    pairs = list(zip(named, defaults + list(given.defaults), strict=True))
    yield from pairs[1:] if skips_first else pairs
    yield from zip(given.kwonlyargs, given.kw_defaults, strict=True)


def _field(scope: Scope, argument: ast.arg, default: ast.expr | None, doubts: list[Doubt]) -> Field | None:
    try:
        read = read_input(argument.annotation, scope)
    except Unreadable as error:
        doubts.append(Doubt(argument.arg, str(error), scope.source.name, argument.lineno))
        read = Read()
    said = _said(scope, argument, default, doubts)
    has_default = said.pop("default", _MISSING)
    value = None if has_default is _MISSING else has_default
    required = has_default is _MISSING and not read.nullable
    nullable = read.nullable or (has_default is None and not read.file)
    description = str(said.pop("description", "") or "").strip()
    if read.file:
        default_file = value if isinstance(value, str) else None
        return Field(
            argument.arg,
            FieldType.FILE,
            required,
            description,
            default_file,
            form=MediaForm.PATH,
            several=read.several,
        )
    schema = _schema(read, said, nullable=nullable)
    return Field(argument.arg, _type_of(schema), required, description, value, schema)


def _said(scope: Scope, argument: ast.arg, default: ast.expr | None, doubts: list[Doubt]) -> dict[str, Any]:
    """The default and what `Input` says beside it, as far as it can be read."""
    if default is None:
        return {}
    if not (isinstance(default, ast.Call) and scope.real_name(default.func) in _INPUTS):
        given = {"default": default}
    else:
        given = {one.arg: one.value for one in default.keywords if one.arg}
        if default.args:
            given["default"] = default.args[0]
    said: dict[str, Any] = {}
    for word, node in given.items():
        try:
            said[word] = value_of(node, scope)
        except (Unreadable, RecursionError) as error:
            fault = f"its {word} cannot be read without running the code: {error}"
            doubts.append(Doubt(argument.arg, fault, scope.source.name, argument.lineno))
            if word == "default":
                said[word] = None  # there is one, and the handler knows it
    if isinstance(default, ast.Call) and said.get("default", _MISSING) is Ellipsis:
        del said["default"]
    return said


def _schema(read: Read, said: Mapping[str, Any], *, nullable: bool) -> dict[str, Any]:
    """Limits of a list are those of its items, as at Cog."""
    schema = dict(read.schema or {})
    limits = {word: said[name] for name, word in _LIMITS.items() if said.get(name) is not None}
    if isinstance(limits.get("enum"), dict):
        limits["enum"] = list(limits["enum"])
    if schema.get("type") == "array" and limits:
        schema["items"] = {**schema.get("items", {}), **limits}
    else:
        schema.update(limits)
    if said.get("deprecated") is True:
        schema["deprecated"] = True
    if nullable and schema:
        schema = _or_null(schema)
    return schema


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    if "type" in schema:
        schema = {**schema, "type": [schema["type"], "null"]}
    return {**schema, "enum": [*schema["enum"], None]} if "enum" in schema else schema


def _type_of(schema: Mapping[str, Any]) -> FieldType:
    """The nearest word for what is checked by its schema anyway."""
    named = schema.get("type")
    first = named[0] if isinstance(named, list) else named
    if first is None and schema.get("enum"):
        first = "integer" if isinstance(schema["enum"][0], int) else "string"
    return FieldType(first) if isinstance(first, str) else FieldType.OBJECT


def tasks_of(root: Path, predict: str, train: str | None) -> tuple[Task, ...] | None:
    """The tasks of a package; None if what it runs cannot be found by its files alone."""
    found = read_signature(root, predict, PREDICT)
    if found is None:
        return None
    trained = read_signature(root, train, TRAIN) if train else None
    return (found.task,) if trained is None else (found.task, trained.task)
