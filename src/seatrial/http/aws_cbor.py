"""AWS's CBOR protocol: one POST to `/service/PREFIX/operation/NAME`, members as CBOR both ways, by botocore's models.

Source: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html, and RFC 8949 as far as that uses it: no
tags but the one of a time, text for keys.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from starlette.responses import Response

from seatrial.domain.limits import JSON_DEPTH_MAX
from seatrial.http.aws_json import Operation, run
from seatrial.http.aws_request import AwsRequest
from seatrial.http.aws_shapes import ServiceShapes
from seatrial.http.dialects.aws_errors import AwsError, Protocol, unknown_operation

MEDIA_TYPE = "application/cbor"
HEADERS = {"smithy-protocol": "rpc-v2-cbor"}
_INDEFINITE, _BREAK = 31, 0xFF
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_TIME = 1  # the tag of seconds since the epoch


def is_asked(call: AwsRequest) -> bool:
    """Whether a request speaks this protocol."""
    return call.request.headers.get("smithy-protocol") == HEADERS["smithy-protocol"]


async def serve(
    call: AwsRequest, shapes: ServiceShapes, operations: Mapping[str, Operation], invalid_code: str
) -> Response:
    """As `aws_json.serve`, in CBOR.

    Raises:
        AwsError: not offered, not CBOR, or a constraint that does not hold.
        Forbidden: the caller may not do this.
    """
    words = call.request.url.path.split("/")
    is_operation = len(words) == 5 and (words[1], words[3]) == ("service", "operation")
    name = words[4] if is_operation and words[2] == shapes.target_prefix else ""
    if name not in operations or call.request.method != "POST":
        asked = name or f"{call.request.method} {call.request.url.path}"
        raise unknown_operation(Protocol.CBOR, asked, call.service, ", ".join(sorted(operations)))
    answer = await run(call, shapes, name, operations[name], lambda: _members(call.body), invalid_code)
    shape = shapes.operation(name).output_shape
    body = b"" if shape is None else encoded(shape, answer or {})
    return Response(body, 200, {"x-amzn-RequestId": call.request_id, **HEADERS}, MEDIA_TYPE)


def _members(body: bytes) -> dict[str, Any]:
    try:
        given = decoded(body) if body else {}
    except ValueError as error:
        raise AwsError("SerializationException", f"The request is not CBOR: {error}") from None
    if not isinstance(given, dict):
        raise AwsError("SerializationException", "The request must be a CBOR map.")
    return given


# ---------------------------------------------------------------- reading


def decoded(data: bytes) -> Any:
    """The one item that the bytes are; a time is its seconds since the epoch.

    Raises:
        ValueError: it is none, or uses what the protocol does not.
    """
    reader = _Reader(data)
    item = reader.item(0)
    if reader.place != len(data):
        raise ValueError(f"{len(data) - reader.place} bytes follow its end")
    return item


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0

    def item(self, depth: int) -> Any:
        if depth > JSON_DEPTH_MAX:
            raise ValueError(f"more than {JSON_DEPTH_MAX} items in each other")
        first = self._take(1)[0]
        major, information = first >> 5, first & 31
        match major:
            case 0:
                return self._number(information)
            case 1:
                return -1 - self._number(information)
            case 2:
                return self._string(major, information)
            case 3:
                return self._string(major, information).decode()
            case 4:
                return self._list(information, depth)
            case 5:
                return self._map(information, depth)
            case 6:
                return self._time(information, depth)
        if information in _SIMPLE:
            return _SIMPLE[information]
        if information in _FLOATS:
            form = _FLOATS[information]
            return struct.unpack(form, self._take(struct.calcsize(form)))[0]
        raise ValueError(f"an item of major type 7 with {information}")

    def _take(self, count: int) -> bytes:
        taken = self._data[self.place : self.place + count]
        if len(taken) < count:
            raise ValueError("it is cut off")
        self.place += count
        return taken

    def _number(self, information: int) -> int:
        if information < 24:
            return information
        if information > 27:
            raise ValueError(f"a length of {information}")
        return int.from_bytes(self._take(1 << (information - 24)), "big")

    def _ends(self) -> bool:
        if self._data[self.place : self.place + 1] != bytes([_BREAK]):
            return False
        self.place += 1
        return True

    def _string(self, major: int, information: int) -> bytes:
        if information != _INDEFINITE:
            return self._take(self._number(information))
        whole = b""
        while not self._ends():
            first = self._take(1)[0]
            if first >> 5 != major:
                raise ValueError("a string in pieces of another kind")
            whole += self._take(self._number(first & 31))
        return whole

    def _list(self, information: int, depth: int) -> list[Any]:
        if information == _INDEFINITE:
            items = []
            while not self._ends():
                items.append(self.item(depth + 1))
            return items
        return [self.item(depth + 1) for _ in range(self._number(information))]  # each takes a byte at least

    def _map(self, information: int, depth: int) -> dict[str, Any]:
        left = None if information == _INDEFINITE else self._number(information)
        found = {}
        while left != 0 and not (left is None and self._ends()):
            key = self.item(depth + 1)
            if not isinstance(key, str):
                raise ValueError("a key that is no text")
            found[key] = self.item(depth + 1)
            left = None if left is None else left - 1
        return found

    def _time(self, information: int, depth: int) -> int | float:
        tag, value = self._number(information), self.item(depth + 1)
        if tag != _TIME or isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"the tag {tag} of {type(value).__name__}")
        return value


# ---------------------------------------------------------------- writing


def encoded(shape: Shape, value: Any) -> bytes:
    """A value of a model's shape. Members that are None are left out."""
    if isinstance(shape, StructureShape):
        present = {name: one for name, one in value.items() if one is not None}
        pairs = (_text(name) + encoded(shape.members[name], one) for name, one in present.items())
        return _head(5, len(present)) + b"".join(pairs)
    if isinstance(shape, MapShape):
        pairs = (_text(name) + encoded(shape.value, one) for name, one in value.items())
        return _head(5, len(value)) + b"".join(pairs)
    if isinstance(shape, ListShape):
        return _head(4, len(value)) + b"".join(encoded(shape.member, one) for one in value)
    match shape.type_name:
        case "boolean":
            return b"\xf5" if value else b"\xf4"
        case "integer" | "long":
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case "float" | "double":
            return b"\xfb" + struct.pack(">d", value)
        case "timestamp":
            return _head(6, _TIME) + b"\xfb" + struct.pack(">d", value)
        case "blob":
            return _head(2, len(value)) + bytes(value)
    return _text(value)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for information, size in ((24, 1), (25, 2), (26, 4)):
        if number < 1 << 8 * size:
            return bytes([major << 5 | information]) + number.to_bytes(size, "big")
    return bytes([major << 5 | 27]) + number.to_bytes(8, "big")


def _text(text: str) -> bytes:
    raw = text.encode()
    return _head(3, len(raw)) + raw
