"""JSON Schemas (2020-12) of a contract: made from the keys of a field, or read from a file of the package."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from seatrial.package.files import file_inside, read_schema_json
from seatrial.package.problems import Problems, shown
from seatrial.package.tables import ValueTable

VALID_SCHEMA = "a JSON Schema of draft 2020-12 that refers to nothing outside of itself"
NUMBERS = ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum", "multiple_of")
LIMITS_OF_TYPE = {
    "string": ("min_length", "max_length", "pattern"),
    "integer": NUMBERS,
    "number": NUMBERS,
    "boolean": (),
    "object": ("properties",),
    "array": ("min_items", "max_items", "items"),
}
LIMITS = tuple(dict.fromkeys(limit for limits in LIMITS_OF_TYPE.values() for limit in limits))
RANGES = (("minimum", "maximum"), ("min_length", "max_length"), ("min_items", "max_items"))


def value_schema(value: ValueTable, table: str, problems: Problems) -> dict[str, Any]:
    """The schema of a plain value, `type` first; keys that make no sense are noted."""
    schema: dict[str, Any] = {"type": value.type}
    for limit in LIMITS:
        found = getattr(value, limit)
        if found is None:
            continue
        if limit not in LIMITS_OF_TYPE[value.type]:
            valid = ", ".join((*LIMITS_OF_TYPE[value.type], "enum"))
            problems.add(table, limit, f"means nothing for the type {value.type!r}", valid)
        elif limit == "items":
            schema["items"] = _part_schema(found, f"{table}.items", problems)[1]
        elif limit == "properties":
            schema.update(_properties(found, f"{table}.properties", problems))
        else:
            schema[_camel(limit)] = found
    if value.enum is not None:
        schema["enum"] = value.enum
    _check_limits(value, schema, table, problems)
    return schema


def read_schema(
    root: Path, source: str | Mapping[str, Any], table: str, key: str, problems: Problems
) -> dict[str, Any] | None:
    """A schema named as a file of the package or written inline, checked; None with the problem noted."""
    if isinstance(source, str):
        path = file_inside(root, source, table, key, problems)
        found = None if path is None else read_schema_json(path, table, key, problems)
        if found is None:
            return None
    else:
        found = source
    fault = schema_fault(found)
    if fault:
        problems.add(table, key, fault, VALID_SCHEMA)
        return None
    return dict(found)


def schema_fault(schema: object) -> str | None:
    """What is wrong with a schema, if anything."""
    if not isinstance(schema, Mapping):
        return f"found {shown(schema)}"
    try:
        json.dumps(schema, allow_nan=False)
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"at {error.json_path}: {error.message}"
    except (TypeError, ValueError, RecursionError) as error:
        return f"is not JSON: {error}"
    resource = DRAFT202012.create_resource(schema)
    resolver = Registry().with_resource("", resource).resolver()
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            return f"refers to {reference!r}, which it does not hold"
    return None


def _references(schema: object) -> Iterator[str]:
    """Every `$ref` in a schema."""
    if isinstance(schema, Mapping):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference
        for below in schema.values():
            yield from _references(below)
    elif isinstance(schema, list):
        for below in schema:
            yield from _references(below)


def _part_schema(values: object, table: str, problems: Problems) -> tuple[bool, dict[str, Any]]:
    """Whether it is required, and the schema of an item or a property."""
    value = problems.parse(ValueTable, values, table)
    return (False, {}) if value is None else (value.required, value_schema(value, table, problems))


def _properties(values: Mapping[str, Any], table: str, problems: Problems) -> dict[str, Any]:
    parts = {name: _part_schema(found, f"{table}.{name}", problems) for name, found in values.items()}
    required = [name for name, (is_required, _) in parts.items() if is_required]
    schema: dict[str, Any] = {"properties": {name: part for name, (_, part) in parts.items()}}
    return schema | ({"required": required} if required else {})


def _check_limits(value: ValueTable, schema: Mapping[str, Any], table: str, problems: Problems) -> None:
    """Limits that contradict each other, a pattern that is none, and values that the limits do not allow."""
    for low, high in RANGES:
        least, most = getattr(value, low), getattr(value, high)
        if least is not None and most is not None and least > most:
            problems.add(table, low, f"found {least}, above {high} = {most}", f"at most {most}")
    if value.pattern is not None:
        try:
            re.compile(value.pattern)
        except re.error as error:
            problems.add(table, "pattern", f"{shown(value.pattern)}: {error}", "a regular expression")
            return
    without_enum = {key: limit for key, limit in schema.items() if key != "enum"}
    for found in value.enum or ():
        _check_value(found, without_enum, table, "enum", problems)
    if value.default is not None:
        _check_value(value.default, schema, table, "default", problems)
        if value.required:
            problems.add(table, "default", "a required field has no use for a default", "required or default")


def _check_value(found: object, schema: Mapping[str, Any], table: str, key: str, problems: Problems) -> None:
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError):
        problems.add(table, key, f"found {shown(found)}", "a value that JSON can carry")
        return
    if not Draft202012Validator(schema).is_valid(found):
        problems.add(table, key, f"{shown(found)} is outside of the field's own limits", json.dumps(schema))


def _camel(key: str) -> str:
    """`min_length` as JSON Schema writes it."""
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)
