"""AWS's Query protocol: a form in (`Attributes.entry.1.key=…`), XML out, both by botocore's service models.

Source: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html, and botocore's serializer and parser of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from starlette.responses import Response

from seatrial.domain.access import require
from seatrial.http import aws_shapes
from seatrial.http.aws_json import Operation
from seatrial.http.aws_request import AwsRequest
from seatrial.http.aws_shapes import Malformed, ServiceShapes
from seatrial.http.dialects.aws_errors import AwsError, Protocol, unknown_operation

_ABOUT_THE_REQUEST = ("Action", "Version", "AWSAccessKeyId", "Signature", "Timestamp", "SignatureVersion")
_NOT_IN_XML = {code: None for code in range(32) if code not in (9, 10)} | {13: "&#13;", 0xFFFE: None, 0xFFFF: None}


class _Node:
    """A dotted name of the form: its own value, and what is below it."""

    __slots__ = ("below", "value")

    def __init__(self) -> None:
        self.value: str | None = None
        self.below: dict[str, _Node] = {}


def form_of(call: AwsRequest) -> dict[str, str]:
    """The members of a request: of its body, or else of its query. Raises AwsError: not UTF-8."""
    if not call.body:
        return dict(call.request.query_params)
    try:
        return dict(parse_qsl(call.body.decode(), keep_blank_values=True, errors="strict"))
    except (UnicodeDecodeError, ValueError):
        raise AwsError("MalformedQueryString", "The request is not a form in UTF-8.", 400) from None


async def serve(
    call: AwsRequest, shapes: ServiceShapes, operations: Mapping[str, Operation], invalid_code: str
) -> Response:
    """Check the request against AWS's model, run its operation, and write the answer by the model.

    Args:
        invalid_code: the service's code for a request that breaks a constraint.

    Raises:
        AwsError: not offered, or a constraint that does not hold.
        Forbidden: the caller may not do this.
    """
    form = form_of(call)
    name = form.get("Action", "")
    operation = operations.get(name)
    if operation is None:
        raise unknown_operation(Protocol.QUERY, name or "none", call.service, ", ".join(sorted(operations)))
    require(call.principal, *operation.scopes)
    model = shapes.operation(name)
    try:
        given = read(model, form)
        violations = aws_shapes.check(model, given)
    except Malformed as error:
        raise AwsError(invalid_code, str(error)) from None
    if violations:
        raise AwsError(invalid_code, aws_shapes.describe(violations))
    require(call.principal, *operation.scopes, endpoint=given.get(operation.endpoint or ""))
    answer = await operation.run(call, given)
    body = write(model, answer or {}, call.request_id)
    return Response(body, 200, {"x-amzn-RequestId": call.request_id}, "text/xml")


# ---------------------------------------------------------------- reading


def read(operation: OperationModel, form: Mapping[str, str]) -> dict[str, Any]:
    """The members of a request. Names that the model does not have stay as they are, for `aws_shapes.check` to name.

    Raises:
        Malformed: a value that is not of its member's type.
    """
    root = _tree(form)
    shape = operation.input_shape
    given: dict[str, Any] = _structure(shape, root, "") if isinstance(shape, StructureShape) else {}
    known = {_name(member, name) for name, member in _members(shape)}
    about = {name for name in root.below if name in _ABOUT_THE_REQUEST or name.startswith("X-Amz-")}
    strange = [name for name in root.below if name not in known and name not in about]
    return given | {name: root.below[name].value for name in strange}


def _tree(form: Mapping[str, str]) -> _Node:
    root = _Node()
    for name, value in form.items():
        node = root
        for step in name.split("."):
            node = node.below.setdefault(step, _Node())
        node.value = value
    return root


def _read(shape: Shape, node: _Node, path: str) -> Any:
    if isinstance(shape, StructureShape):
        return _structure(shape, node, path)
    if isinstance(shape, ListShape):
        items = node if _is_flat(shape) else node.below.get(_name(shape.member, "member"), _Node())
        return [_read(shape.member, one, f"{path}.{number}") for number, one in _numbered(items)]
    if isinstance(shape, MapShape):
        return _map(shape, node, path)
    return _scalar(shape, node.value or "", path)


def _structure(shape: StructureShape, node: _Node, path: str) -> dict[str, Any]:
    found = ((name, member, node.below.get(_name(member, name))) for name, member in _members(shape))
    return {
        name: _read(member, below, f"{path}.{name}" if path else name)
        for name, member, below in found
        if below is not None
    }


def _map(shape: MapShape, node: _Node, path: str) -> dict[str, Any]:
    entries = node if _is_flat(shape) else node.below.get("entry", _Node())
    key_name, value_name = _name(shape.key, "key"), _name(shape.value, "value")
    read: dict[str, Any] = {}
    for number, entry in _numbered(entries):
        key = entry.below.get(key_name)
        if key is None or key.value is None:
            raise Malformed(f"{path}.entry.{number} has no {key_name}")
        read[key.value] = _read(shape.value, entry.below.get(value_name, _Node()), f"{path}.{key.value}")
    return read


def _numbered(node: _Node) -> Iterator[tuple[int, _Node]]:
    """What is counted from 1, in order, gaps closed."""
    counted = [(int(name), below) for name, below in node.below.items() if name.isdecimal() and len(name) < 9]
    return iter(sorted(counted, key=lambda one: one[0]))


def _scalar(shape: Shape, text: str, path: str) -> Any:
    kind = shape.type_name
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind in ("float", "double"):
            return float(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if kind == "timestamp":
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, KeyError, OverflowError):
        raise Malformed(f"{path} must be of type {kind}, not {text[:200]!r}") from None
    return text


# ---------------------------------------------------------------- writing


def write(operation: OperationModel, answer: Mapping[str, Any], request_id: str) -> bytes:
    """The body of a successful answer."""
    shape = operation.output_shape
    inner = ""
    if isinstance(shape, StructureShape):
        inner = _element(shape.serialization.get("resultWrapper", f"{operation.name}Result"), _written(shape, answer))
    namespace = escape(str(operation.metadata.get("xmlNamespace", "")))
    about = f"<ResponseMetadata><RequestId>{escape(request_id)}</RequestId></ResponseMetadata>"
    return f'<{operation.name}Response xmlns="{namespace}">{inner}{about}</{operation.name}Response>'.encode()


def _written(shape: Shape, value: Any) -> str:
    if isinstance(shape, StructureShape):
        named = ((name, member, value.get(name)) for name, member in _members(shape))
        return "".join(_member(_name(member, name), member, one) for name, member, one in named if one is not None)
    if isinstance(shape, ListShape):
        return "".join(_element(_name(shape.member, "member"), _written(shape.member, one)) for one in value)
    if isinstance(shape, MapShape):
        return "".join(_element("entry", _entry(shape, key, one)) for key, one in value.items())
    return _text(shape, value)


def _member(name: str, shape: Shape, value: Any) -> str:
    if isinstance(shape, ListShape) and _is_flat(shape):
        return "".join(_element(name, _written(shape.member, one)) for one in value)
    if isinstance(shape, MapShape) and _is_flat(shape):
        return "".join(_element(name, _entry(shape, key, one)) for key, one in value.items())
    return _element(name, _written(shape, value))


def _entry(shape: MapShape, key: str, value: Any) -> str:
    key_name, value_name = _name(shape.key, "key"), _name(shape.value, "value")
    return _element(key_name, _text(shape.key, key)) + _element(value_name, _written(shape.value, value))


def _text(shape: Shape, value: Any) -> str:
    if shape.type_name == "boolean":
        return "true" if value else "false"
    if shape.type_name == "timestamp":
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return escape(str(value)).translate(_NOT_IN_XML)


def _element(name: str, inner: str) -> str:
    return f"<{name}>{inner}</{name}>"


# ---------------------------------------------------------------- the model


def _members(shape: Shape | None) -> list[tuple[str, Shape]]:
    return list(shape.members.items()) if isinstance(shape, StructureShape) else []


def _name(shape: Shape, default: str) -> str:
    return str(shape.serialization.get("name", default))


def _is_flat(shape: Shape) -> bool:
    return bool(shape.serialization.get("flattened"))
