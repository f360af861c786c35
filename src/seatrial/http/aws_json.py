"""AWS's JSON 1.1 protocol: one POST to `/`, the operation in X-Amz-Target, members as JSON."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope
from seatrial.http import aws_shapes
from seatrial.http.aws_request import AwsRequest
from seatrial.http.aws_shapes import ServiceShapes
from seatrial.http.dialects.aws_errors import AwsError, Protocol, unknown_operation

Run = Callable[[AwsRequest, dict[str, Any]], Awaitable[Mapping[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Operation:
    """What an operation does, and what it asks of its caller: one of the scopes and, where the request has the member
    `endpoint`, that it reaches the endpoint which that names."""

    run: Run
    scopes: tuple[KeyScope, ...]
    endpoint: str | None = None


async def serve(
    call: AwsRequest, shapes: ServiceShapes, operations: Mapping[str, Operation], invalid_code: str
) -> Response:
    """Check the request against AWS's model and run its operation.

    Args:
        invalid_code: the service's code for a request that breaks a constraint.

    Raises:
        AwsError: not offered, not JSON, or a constraint that does not hold.
        Forbidden: the caller may not do this.
    """
    prefix, _, name = call.request.headers.get("x-amz-target", "").rpartition(".")
    operation = operations.get(name)
    if operation is None or prefix != shapes.target_prefix or call.request.method != "POST":
        asked = name or f"{call.request.method} {call.request.url.path}"
        raise unknown_operation(Protocol.JSON, asked, call.service, ", ".join(sorted(operations)))
    answer = await run(call, shapes, name, operation, lambda: _parse(call.body), invalid_code)
    body = b"" if answer is None else json.dumps(answer).encode()
    return Response(body, 200, {"x-amzn-RequestId": call.request_id}, "application/x-amz-json-1.1")


async def run(
    call: AwsRequest,
    shapes: ServiceShapes,
    name: str,
    operation: Operation,
    members: Callable[[], dict[str, Any]],
    invalid_code: str,
) -> Mapping[str, Any] | None:
    """Run an operation for who may do it, once its members hold against AWS's model. Raises as `serve`."""
    require(call.principal, *operation.scopes)
    given = members()
    try:
        violations = aws_shapes.check(shapes.operation(name), given)
    except aws_shapes.Malformed as error:
        raise AwsError("SerializationException", str(error)) from None
    if violations:
        raise AwsError(invalid_code, aws_shapes.describe(violations))
    require(call.principal, *operation.scopes, endpoint=given.get(operation.endpoint or ""))
    return await operation.run(call, {key: value for key, value in given.items() if value is not None})


def _parse(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException", f"The request is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise AwsError("SerializationException", "The request must be a JSON object.")
    return given
