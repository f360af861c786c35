"""STS: GetCallerIdentity, with which clients try their credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from seatrial.domain.credentials import KeyScope
from seatrial.http import aws_query
from seatrial.http.aws_json import Operation
from seatrial.http.aws_request import AwsRequest
from seatrial.http.aws_shapes import ServiceShapes
from seatrial.http.dialects import sts as dialect


class StsDoor:
    """The one operation that needs no permission in AWS either."""

    def __init__(self) -> None:
        self._shapes = ServiceShapes("sts")
        self._operations = {"GetCallerIdentity": Operation(self._identity, tuple(KeyScope))}

    async def __call__(self, call: AwsRequest) -> Response:
        """Answer one request. Raises AwsError."""
        return await aws_query.serve(call, self._shapes, self._operations, "ValidationError")

    async def _identity(self, call: AwsRequest, request: Mapping[str, Any]) -> Mapping[str, Any]:
        return dialect.caller_identity(call.principal)
