"""Requests checked against botocore's own service models, in AWS's words.

The models say which members there are, which are required, and their types, patterns, lengths, ranges and enums.
The wording of a violation is AWS's: "1 validation error detected: Value 'x' at 'endpointName' failed to satisfy
constraint: Member must …".
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

_YEAR_9999 = 253_402_300_799  # the last second of it, since the epoch
_ELSEWHERE = frozenset({"header", "uri", "querystring", "headers", "statusCode"})

# Java's classes in the patterns of the operations that we offer, as Python's re has them. Letters, digits and
# separators of all scripts are read with \w and \s, which is a little wider.
_JAVA_CLASSES = {
    r"\p{ASCII}": r"[\x00-\x7f]",
    r"\p{Print}+": r"[\x20-\x7e]+",
    r"\p{Print}": r"\x20-\x7e",  # of a class in brackets
    r"\p{L}": r"\w",
    r"\p{N}": r"\d",
    r"\p{Z}": r"\s",
    r"\z": r"\Z",
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010ffff",  # a range of pairs of surrogates
}


class Malformed(Exception):
    """A value that is not of its member's type: AWS calls it a SerializationException."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One constraint that does not hold. `path` is AWS's, such as `productionVariants.1.member.modelName`."""

    value: str
    path: str
    constraint: str

    def __str__(self) -> str:
        """In AWS's words."""
        return f"Value {self.value} at '{self.path}' failed to satisfy constraint: {self.constraint}"


def describe(violations: list[Violation]) -> str:
    """The message of a ValidationException."""
    noun = "validation error" if len(violations) == 1 else "validation errors"
    return f"{len(violations)} {noun} detected: " + "; ".join(map(str, violations))


class ServiceShapes:
    """One service's model. Loading it reads a compressed file of botocore's (0.2 s for the largest)."""

    def __init__(self, service: str) -> None:
        self._model = ServiceModel(Loader().load_service_model(service, "service-2"), service)

    @property
    def target_prefix(self) -> str:
        """What stands before the dot in X-Amz-Target."""
        return str(self._model.metadata.get("targetPrefix", ""))

    def knows(self, operation: str) -> bool:
        """True for AWS's own operations, offered here or not."""
        return operation in self._model.operation_names

    def operation(self, name: str) -> OperationModel:
        """The model of one operation."""
        return self._model.operation_model(name)


def check(operation: OperationModel, given: object) -> list[Violation]:
    """What is wrong with a request; empty: nothing.

    Raises:
        Malformed: a value has another type than the model says.
    """
    shape = operation.input_shape
    return list(_check(shape, given, ())) if shape is not None else []


def read_headers(
    operation: OperationModel,
    headers: Mapping[str, str],
    uri: Mapping[str, str],
    query: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """A REST request's members that travel in headers, in the path and in the query. Integers that are none stay texts.

    Raises:
        Malformed: a number that is none.
    """
    given: dict[str, Any] = {}
    shape = operation.input_shape
    places = {"uri": uri, "header": headers, "querystring": query}
    for name, member in _members(shape):
        where = member.serialization.get("location")
        wire_name = member.serialization.get("name", name)
        found = places[where].get(wire_name) if where in places else None
        if found is not None:
            given[name] = _number(found, wire_name) if member.type_name in ("integer", "long") else found
    return given


def _number(text: str, name: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise Malformed(f"{name} must be an integer, not {text!r}")
    return int(text)


def _members(shape: Shape | None) -> Iterable[tuple[str, Shape]]:
    return shape.members.items() if isinstance(shape, StructureShape) else ()


# ---------------------------------------------------------------- checking


def _check(shape: Shape, value: object, path: tuple[str, ...]) -> Iterator[Violation]:
    wanted = _TYPES.get(shape.type_name)
    if wanted is not None and not wanted(value):
        where = _aws_path(path) or "the request"
        raise Malformed(f"{where} must be of type {shape.type_name}, not {type(value).__name__}")
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        yield from _check_structure(shape, value, path)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        yield from _check_size(shape, value, path)
        for number, item in enumerate(value, start=1):
            yield from _check(shape.member, item, (*path, str(number), "member"))
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        yield from _check_size(shape, value, path)
        for key, item in value.items():
            yield from _check(shape.key, key, path)
            yield from _check(shape.value, item, (*path, str(key), "member"))
    else:
        yield from _check_scalar(shape, value, path)


def _check_structure(shape: StructureShape, value: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Violation]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield Violation("null", _aws_path((*path, name)), "Member must not be null")
    for name, item in value.items():
        if name not in shape.members:
            valid = ", ".join(shape.members)
            yield Violation(_shown(item), _aws_path((*path, name)), f"Member must be one of: {valid}")
        elif item is not None:
            yield from _check(shape.members[name], item, (*path, name))


def _check_size(shape: Shape, value: Any, path: tuple[str, ...]) -> Iterator[Violation]:
    """`min` and `max` of what has a length."""
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        yield _violation(value, path, f"Member must have length greater than or equal to {low}")
    if high is not None and len(value) > high:
        yield _violation(value, path, f"Member must have length less than or equal to {high}")


def _check_scalar(shape: Shape, value: Any, path: tuple[str, ...]) -> Iterator[Violation]:
    if isinstance(value, str | bytes):
        violations = list(_check_size(shape, value, path))
        yield from violations
        enum = shape.metadata.get("enum")
        if enum and value not in enum:
            yield _violation(value, path, f"Member must satisfy enum value set: [{', '.join(enum)}]")
        pattern = shape.metadata.get("pattern")
        if pattern and isinstance(value, str) and not violations and not _compiled(pattern).fullmatch(value):
            yield _violation(value, path, f"Member must satisfy regular expression pattern: {pattern}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and value < low:
            yield _violation(value, path, f"Member must have value greater than or equal to {low}")
        if high is not None and value > high:
            yield _violation(value, path, f"Member must have value less than or equal to {high}")


def _violation(value: object, path: tuple[str, ...], constraint: str) -> Violation:
    return Violation(_shown(value), _aws_path(path), constraint)


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return f"of {len(value)} bytes"
    text = str(value)
    return f"'{text[:200]}…'" if len(text) > 200 else f"'{text}'"


def _aws_path(path: tuple[str, ...]) -> str:
    return ".".join(name[:1].lower() + name[1:] for name in path)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    for java, python in _JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


def _is_number(value: object) -> bool:
    """Of those that a double holds; JSON's readers make infinities of 1e999, and take NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_time(value: object) -> bool:
    """Seconds since the epoch that a calendar has."""
    return isinstance(value, int | float) and _is_number(value) and abs(value) <= _YEAR_9999


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _is_blob(value: object) -> bool:
    if isinstance(value, bytes):
        return True
    if not isinstance(value, str):
        return False
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        return False
    return True


_TYPES: Mapping[str, Callable[[object], bool]] = {
    "structure": lambda value: isinstance(value, Mapping),
    "map": lambda value: isinstance(value, Mapping),
    "list": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "long": _is_integer,
    "float": _is_number,
    "double": _is_number,
    "timestamp": _is_time,
    "blob": _is_blob,
}


# ---------------------------------------------------------------- services that are not offered

_NOT_NAMED_AS_SIGNED = {"monitoring": "cloudwatch", "email": "ses", "states": "stepfunctions"}


@functools.cache
def protocol_of(signing_name: str) -> str | None:
    """The protocol of any AWS service by its signing name; None: botocore's data has no service of that name."""
    name = _NOT_NAMED_AS_SIGNED.get(signing_name, signing_name)
    if not re.fullmatch(r"[a-z0-9-]+", name):
        return None
    try:
        return str(Loader().load_service_model(name, "service-2")["metadata"]["protocol"])
    except UnknownServiceError:
        return None
