"""What Lambda's runtime interface emulator offers to a terminal: invocations without a signature, on one path.

Each goes on to the server behind it, signed: as a client of AWS Lambda would send it.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from seatrial.domain.limits import LAMBDA_PAYLOAD_BYTES_MAX, LAMBDA_WAIT_SECONDS

PATH = "/2015-03-31/functions/{name}/invocations"
_PASSED_IN = ("x-amz-invocation-type", "x-amz-log-type", "x-amz-client-context", "amz-sdk-invocation-id")
_PASSED_OUT = ("content-type", "retry-after")  # and whatever begins with x-am


class Front:
    """For one function, by whatever name it is asked for."""

    def __init__(self, variables: Mapping[str, str], function: str) -> None:
        """`variables` are those of `seatrial env`."""
        self._url = variables["AWS_ENDPOINT_URL"] + PATH.replace("{name}", function)
        self._keys = Credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
        self._region = variables["AWS_DEFAULT_REGION"]
        self._client = httpx.AsyncClient(timeout=LAMBDA_WAIT_SECONDS + 30, trust_env=False)
        self.app = Starlette(routes=[Route(PATH, self._invoke, methods=["POST"])])

    async def close(self) -> None:
        """Let go of the server."""
        await self._client.aclose()

    async def _invoke(self, request: Request) -> Response:
        """A body that is too large is cut one byte above the limit: the server says what is wrong with it."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LAMBDA_PAYLOAD_BYTES_MAX:
                del body[LAMBDA_PAYLOAD_BYTES_MAX + 1 :]
                break
        given = {name: request.headers[name] for name in _PASSED_IN if name in request.headers}
        signed = AWSRequest("POST", self._url, data=bytes(body), headers=given)
        SigV4Auth(self._keys, "lambda", self._region).add_auth(signed)
        headers = {str(name): str(value) for name, value in signed.headers.items()}
        answer = await self._client.post(self._url, content=bytes(body), headers=headers)
        told = {name: value for name, value in answer.headers.items() if name in _PASSED_OUT or name.startswith("x-am")}
        return Response(answer.content, answer.status_code, told)
