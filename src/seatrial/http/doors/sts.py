"""STS: GetCallerIdentity, with which clients try their credentials."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.responses import Response

from seatrial.http.aws_request import AwsRequest
from seatrial.http.dialects import sts as dialect
from seatrial.http.dialects.aws_errors import Protocol, unknown_operation


class StsDoor:
    """The one operation that needs no permission in AWS either."""

    async def __call__(self, call: AwsRequest) -> Response:
        """Answer one request. Raises AwsError."""
        form = dict(parse_qsl(call.body.decode("latin-1"))) or dict(call.request.query_params)
        action = form.get("Action", "none")
        if action != "GetCallerIdentity":
            raise unknown_operation(Protocol.QUERY, action, "sts", "GetCallerIdentity")
        body = dialect.answer(action, dialect.caller_identity(call.principal), call.request_id)
        return Response(body, 200, {"x-amzn-RequestId": call.request_id}, "text/xml")
