"""JSON Schema 2020-12, and its complaints in plain words.

A schema reaches only itself: a `$ref` to anywhere else is an error, nothing is ever fetched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from seatrial.domain.limits import PROBLEMS_LISTED_MAX, VALUE_SHOWN_CHARS_MAX

_REGISTRY: Registry[Any] = Registry()


def compiled(schema: Mapping[str, Any]) -> Validator:
    """A validator to keep: making one costs more than using it."""
    return Draft202012Validator(schema, registry=_REGISTRY)


def schema_fault(schema: Mapping[str, Any]) -> str | None:
    """Why this is no JSON Schema 2020-12, in words; None: it is one."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"at {path_of(error) or 'the top'}: {_shortened(error.message)}"
    return None


def complaints(validator: Validator, value: Any) -> list[tuple[str, str]]:
    """(path, what must be) for everything that does not fit, shallow first, bounded; empty: it fits.

    A reference that leads nowhere is a complaint too.
    """
    try:
        if validator.is_valid(value):
            return []
        found = sorted(_some(validator.iter_errors(value)), key=lambda error: len(error.absolute_path))
        return [(path_of(error), expectation(error)) for error in found]
    except Unresolvable as error:
        return [("", f"cannot be checked: the schema refers to {error.ref!r}, which is not in it")]
    except RecursionError:
        return [("", "is nested too deeply to be checked")]


def path_of(error: ValidationError | SchemaError) -> str:
    """`size/0`: where in the value."""
    return "/".join(str(step) for step in error.absolute_path)


def expectation(error: ValidationError) -> str:
    """`must be at least 1, is 0`: what the schema wants of the value at that place."""
    tell = _WORDS.get(str(error.validator))
    if tell is None:
        return f"does not fit {error.validator!r}: {_shortened(error.message)}"
    return tell(error.validator_value, error.instance)


def shown(value: Any) -> str:
    """A value as JSON, short enough for a message."""
    if isinstance(value, str) and len(value) > VALUE_SHOWN_CHARS_MAX:
        return f"a string of {len(value):,} characters"
    if isinstance(value, (dict, list)) and len(value) > VALUE_SHOWN_CHARS_MAX:
        return f"{_type_word(value)} of {len(value):,}"
    return _shortened(json.dumps(value, ensure_ascii=False, default=repr))


def _some(errors: Iterator[ValidationError]) -> Iterator[ValidationError]:
    for _, error in zip(range(PROBLEMS_LISTED_MAX), errors, strict=False):
        yield error


def _shortened(text: str) -> str:
    return text if len(text) <= VALUE_SHOWN_CHARS_MAX else text[:VALUE_SHOWN_CHARS_MAX] + "…"


def _type_word(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null", int: "integer"}
    return names.get(type(value), "number")


def _listed(values: Any) -> str:
    return ", ".join(shown(one) for one in values) if isinstance(values, list) else shown(values)


def _wrong_type(wanted: Any, value: Any) -> str:
    kinds = wanted if isinstance(wanted, str) else " or ".join(wanted)
    article = "an" if kinds[0] in "aio" else "a"
    remedy = " (leave the field out instead)" if value is None else ""
    return f"must be {article} {kinds}, is {_type_word(value)}{remedy}"


def _missing(wanted: Any, value: Any) -> str:
    return f"must have {_listed([name for name in wanted if name not in value])}"


_WORDS: Mapping[str, Callable[[Any, Any], str]] = {
    "type": _wrong_type,
    "required": _missing,
    "enum": lambda wanted, value: f"must be one of {_listed(wanted)}, is {shown(value)}",
    "const": lambda wanted, value: f"must be {shown(wanted)}, is {shown(value)}",
    "minimum": lambda wanted, value: f"must be at least {wanted}, is {shown(value)}",
    "maximum": lambda wanted, value: f"must be at most {wanted}, is {shown(value)}",
    "exclusiveMinimum": lambda wanted, value: f"must be more than {wanted}, is {shown(value)}",
    "exclusiveMaximum": lambda wanted, value: f"must be less than {wanted}, is {shown(value)}",
    "multipleOf": lambda wanted, value: f"must be a multiple of {wanted}, is {shown(value)}",
    "minLength": lambda wanted, value: f"must have at least {wanted} characters, has {len(value)}",
    "maxLength": lambda wanted, value: f"must have at most {wanted} characters, has {len(value):,}",
    "pattern": lambda wanted, value: f"must match the pattern {wanted}, is {shown(value)}",
    "minItems": lambda wanted, value: f"must have at least {wanted} items, has {len(value)}",
    "maxItems": lambda wanted, value: f"must have at most {wanted} items, has {len(value):,}",
    "uniqueItems": lambda _wanted, _value: "must not hold the same item twice",
    "minProperties": lambda wanted, value: f"must have at least {wanted} members, has {len(value)}",
    "maxProperties": lambda wanted, value: f"must have at most {wanted} members, has {len(value):,}",
}
