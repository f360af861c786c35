"""What Lambda's runtime interface emulator offers to a terminal: invocations without a signature, on one path.

Each goes on to the server behind it, signed: as a client of AWS Lambda would send it. As at the emulator, one that
comes before the function can run waits for its start, and is answered 502 with the reason if that fails.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import Future

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


class NotStarted(Exception):
    """The function's start has failed, or its command ends."""


class Front:
    """For one function, by whatever name it is asked for. `open` and `refuse` may be called from any thread."""

    def __init__(self, function: str) -> None:
        self._path = PATH.replace("{name}", function)
        self._started: Future[Mapping[str, str]] = Future()
        self._client = httpx.AsyncClient(timeout=LAMBDA_WAIT_SECONDS + 30, trust_env=False)
        self.app = Starlette(routes=[Route(PATH, self._invoke, methods=["POST"])])

    def open(self, variables: Mapping[str, str]) -> None:
        """The function can run; `variables` are those of `seatrial env` for its server."""
        self._started.set_result(variables)

    def refuse(self, reason: str) -> None:
        """The function will never run, unless it does already: whoever waits is told so."""
        if not self._started.done():
            self._started.set_exception(NotStarted(reason))

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
        try:
            variables = await asyncio.shield(asyncio.wrap_future(self._started))
        except NotStarted as error:
            return _not_started(error)
        if await request.is_disconnected():
            return Response(status_code=499)  # nobody waits any more, and nothing is run for nobody
        return await self._passed_on(request, bytes(body), variables)

    async def _passed_on(self, request: Request, body: bytes, variables: Mapping[str, str]) -> Response:
        url = variables["AWS_ENDPOINT_URL"] + self._path
        keys = Credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
        given = {name: request.headers[name] for name in _PASSED_IN if name in request.headers}
        signed = AWSRequest("POST", url, data=body, headers=given)
        SigV4Auth(keys, "lambda", variables["AWS_DEFAULT_REGION"]).add_auth(signed)
        headers = {str(name): str(value) for name, value in signed.headers.items()}
        answer = await self._client.post(url, content=body, headers=headers)
        told = {name: value for name, value in answer.headers.items() if name in _PASSED_OUT or name.startswith("x-am")}
        return Response(answer.content, answer.status_code, told)


def _not_started(error: NotStarted) -> Response:
    document = json.dumps({"errorType": "Runtime.InitError", "errorMessage": str(error)})
    return Response(document, 502, {"X-Amz-Function-Error": "Unhandled"}, "application/json")
