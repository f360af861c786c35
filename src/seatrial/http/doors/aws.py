"""The door of everything that is signed as AWS requests are: verify, then call the service that was meant."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from seatrial.domain.errors import Forbidden
from seatrial.domain.limits import (
    AWS_ASYNC_INLINE_BODY_BYTES_MAX,
    AWS_CONTROL_BODY_BYTES_MAX,
    INLINE_PAYLOAD_BYTES_MAX,
    LAMBDA_CODE_REQUEST_BYTES_MAX,
    LAMBDA_PAYLOAD_BYTES_MAX,
)
from seatrial.http import aws_shapes, sigv4
from seatrial.http.aws_request import AwsRequest
from seatrial.http.dialects import aws_errors
from seatrial.http.dialects.aws_errors import AwsError, Protocol
from seatrial.http.dialects.aws_lambda import refusals as lambda_refusals
from seatrial.http.dialects.s3.address import bucket_of_host
from seatrial.http.dialects.s3.errors import not_offered
from seatrial.http.doors.autoscaling import AutoScalingDoor
from seatrial.http.doors.aws_lambda import LambdaDoor, is_invocation, makes_function
from seatrial.http.doors.cloudwatch import CloudWatchDoor
from seatrial.http.doors.logs import LogsDoor
from seatrial.http.doors.request_body import RequestBody
from seatrial.http.doors.s3 import S3Door
from seatrial.http.doors.sagemaker import SageMakerDoor
from seatrial.http.doors.sagemaker_runtime import SageMakerRuntimeDoor
from seatrial.http.doors.sns import SnsDoor
from seatrial.http.doors.sts import StsDoor
from seatrial.http.services import Services
from seatrial.http.sigv4 import Flaw, SignatureRefused, SignedRequest
from seatrial.ports.storage import as_unavailable

log = structlog.get_logger()

Door = Callable[[AwsRequest], Awaitable[Response]]

RUNTIME = "sagemaker-runtime"  # signed as "sagemaker"; told apart by its paths
_PROTOCOLS = {
    "sagemaker": Protocol.JSON,
    RUNTIME: Protocol.REST_JSON,
    "lambda": Protocol.REST_JSON,
    "logs": Protocol.JSON,
    "sns": Protocol.QUERY,
    "application-autoscaling": Protocol.JSON,
    "monitoring": Protocol.JSON,  # CloudWatch's name in signatures
    "sts": Protocol.QUERY,
    "s3": Protocol.REST_XML,
}
_SIGNED_QUERY = (b"X-Amz-Signature=", b"X-Amz-Credential=", b"AWSAccessKeyId=")
_NATIVE_PATHS = frozenset({"/", "/docs", "/healthz", "/metrics", "/v1"})
_AWS_CLIENTS = ("aws-cli", "boto", "aws-sdk")  # how their User-Agent begins, in lower case
_FORM = "application/x-www-form-urlencoded"
_LAMBDA_PATH = re.compile(r"/20\d\d-\d\d-\d\d/functions(/|$)")
_TARGETS = {
    "SageMaker": "sagemaker",
    "Logs_20140328": "logs",
    "AnyScaleFrontendService": "application-autoscaling",
    "GraniteServiceVersion20100801": "monitoring",
}


def speaks_aws(scope: Scope) -> bool:
    """True for requests of AWS's clients: by signature, X-Amz-Target or, unsigned, by a path that is not the API's."""
    if is_signed(scope) or not _is_native(scope["path"]):
        return True  # of a bucket, an object or the runtime
    return scope["path"] == "/" and _asks_service(scope)


def is_signed(scope: Scope) -> bool:
    """True with a signature or a target of AWS's clients."""
    for name, value in scope["headers"]:
        if name == b"x-amz-target" or (name == b"authorization" and value.startswith((b"AWS4-", b"AWS "))):
            return True
    query: bytes = scope["query_string"]
    return bool(query) and any(name in query for name in _SIGNED_QUERY)


def _is_native(path: str) -> bool:
    return path in _NATIVE_PATHS or path.startswith("/v1/")


def _asks_service(scope: Scope) -> bool:
    """Whether an unsigned request of "/" means a service: a query-protocol form, or no browser but a client of AWS."""
    headers = Headers(scope=scope)
    if scope["method"] == "POST" and headers.get("content-type", "").startswith(_FORM):
        return True
    if "text/html" in headers.get("accept", ""):
        return False
    by_name = headers.get("user-agent", "").lower().startswith(_AWS_CLIENTS)
    return by_name or any(name.startswith("x-amz-") for name in headers)


class AwsDoor:
    """An ASGI application. The service is the one in the credential scope; no other door ever answers for it."""

    def __init__(self, services: Services) -> None:
        self._keyring = services.keyring
        self._clock = services.clock
        self._own_host = urlsplit(services.base_url).hostname or ""
        self._doors: Mapping[str, Door] = {
            "sagemaker": SageMakerDoor(services),
            RUNTIME: SageMakerRuntimeDoor(services),
            "lambda": LambdaDoor(services),
            "logs": LogsDoor(services),
            "sns": SnsDoor(services),
            "application-autoscaling": AutoScalingDoor(services),
            "monitoring": CloudWatchDoor(services),
            "sts": StsDoor(),
            "s3": S3Door(services),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = RequestBody(scope, receive)
        try:
            response = await self._answer(Request(scope, body.receive))
        except ClientDisconnect:
            return
        await body.answer(response, send)

    async def _answer(self, request: Request) -> Response:
        request_id = str(uuid.uuid4())
        signed = _as_signed(request)
        service = _meant(request)
        protocol = _PROTOCOLS.get(service, Protocol.REST_XML)
        try:
            claimed = sigv4.read_claim(signed)
            service = RUNTIME if claimed.service == "sagemaker" and _is_runtime(request) else claimed.service
            protocol = await self._protocol(request, service)
            call = await self._verified(request, signed, claimed, protocol, request_id)
            return await self._door(service, protocol)(call)
        except SignatureRefused as refused:
            return aws_errors.error_response(protocol, _refusal(request, protocol, refused), request_id)
        except AwsError as error:
            return aws_errors.error_response(protocol, error, request_id)
        except Forbidden as error:
            return aws_errors.error_response(protocol, _denied(protocol, error), request_id)
        except ClientDisconnect:
            raise
        except Exception as error:  # the named edge of this door: logged, and answered in the service's own form
            trouble = as_unavailable(error)
            if trouble is not None:
                log.warning("aws.store_unavailable", request_id=request_id, service=service, error=str(trouble))
                return aws_errors.error_response(protocol, aws_errors.unavailable(), request_id)
            log.exception("aws.failed", request_id=request_id, service=service)
            return aws_errors.error_response(protocol, aws_errors.internal_failure(protocol), request_id)

    async def _verified(
        self, request: Request, signed: SignedRequest, claimed: sigv4.Claimed, protocol: Protocol, request_id: str
    ) -> AwsRequest:
        body = b""
        if claimed.service != "s3":
            if self._keyring.by_access_key(claimed.access_key_id) is None:  # before a stranger's body is read
                raise SignatureRefused(Flaw.UNKNOWN_KEY, "The security token included in the request is invalid.")
            body = await _body(request, protocol)
        verified = sigv4.verify(
            signed,
            claimed,
            self._keyring.by_access_key,
            hashlib.sha256(body).hexdigest(),
            self._clock.now_ms(),
            bucket_of_host(request.headers.get("host", ""), self._own_host),
        )
        return AwsRequest(
            request=request,
            service=claimed.service,
            region=claimed.region or self._keyring.credentials.region,
            principal=verified.principal,
            request_id=request_id,
            body=body,
            payload_sha256=verified.payload_sha256,
            chunks=verified.chunks,
        )

    async def _protocol(self, request: Request, service: str) -> Protocol:
        own = _cloudwatch_protocol(request) if service == "monitoring" else _PROTOCOLS.get(service)
        return own if own is not None else await run_in_threadpool(_foreign_protocol, request, service)

    def _door(self, service: str, protocol: Protocol) -> Door:
        door = self._doors.get(service)
        if door is None:
            offered = ", ".join(sorted(self._doors))
            raise aws_errors.not_offered(protocol, service, offered)
        return door


def _as_signed(request: Request) -> SignedRequest:
    headers = [(name.decode("latin-1"), _text(value)) for name, value in request.scope["headers"]]
    return SignedRequest(
        method=request.method,
        raw_path=request.scope["raw_path"].decode("latin-1"),
        raw_query=request.scope["query_string"].decode("latin-1"),
        headers=headers,
    )


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _is_runtime(request: Request) -> bool:
    return request.url.path.startswith("/endpoints/")


def _meant(request: Request) -> str:
    """The service of a request that does not say it in a credential scope."""
    target = request.headers.get("x-amz-target", "").partition(".")[0]
    if target:
        return _TARGETS.get(target, "sagemaker")
    if _is_runtime(request):
        return RUNTIME
    if _LAMBDA_PATH.match(request.url.path):
        return "lambda"
    return "sts" if request.url.path == "/" and _is_form(request) else "s3"


def _is_form(request: Request) -> bool:
    media_type = request.headers.get("content-type", "")
    return media_type.startswith(_FORM) or "Action" in request.query_params


def _cloudwatch_protocol(request: Request) -> Protocol:
    """Of the service that speaks three of them."""
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return Protocol.CBOR
    return Protocol.JSON if "x-amz-target" in request.headers else Protocol.QUERY


def _foreign_protocol(request: Request, service: str) -> Protocol:
    """How a client of a service that is not offered reads errors: by its model, else by how it asks."""
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return Protocol.CBOR
    known = aws_shapes.protocol_of(service)
    if known is not None and known != Protocol.CBOR:
        return Protocol(known)
    if "x-amz-target" in request.headers:
        return Protocol.JSON
    return Protocol.QUERY if _is_form(request) else Protocol.REST_JSON


def _refusal(request: Request, protocol: Protocol, refused: SignatureRefused) -> AwsError:
    media_type = request.headers.get("content-type", "")
    if refused.flaw is Flaw.MISSING and protocol is Protocol.REST_XML and media_type.startswith("multipart/form-data"):
        return not_offered("A form upload (POST with a policy)")  # its signature is in the form
    presigned = request.headers.get("authorization") is None
    details = {**refused.details, **_resource(request)}
    return aws_errors.signature_error(protocol, refused.flaw, refused.message, details, presigned=presigned)


def _denied(protocol: Protocol, error: Forbidden) -> AwsError:
    return aws_errors.access_denied(protocol, f"{error.message} {error.details.get('remedy', '')}".strip())


def _resource(request: Request) -> dict[str, str]:
    return {"Resource": request.scope["raw_path"].decode("latin-1")}


def _body_limit_bytes(request: Request) -> int:
    path = request.url.path
    if is_invocation(path):
        return LAMBDA_PAYLOAD_BYTES_MAX
    if makes_function(request.method, path):
        return LAMBDA_CODE_REQUEST_BYTES_MAX
    if not _is_runtime(request):
        return AWS_CONTROL_BODY_BYTES_MAX
    return AWS_ASYNC_INLINE_BODY_BYTES_MAX if path.endswith("/async-invocations") else INLINE_PAYLOAD_BYTES_MAX


def _too_large(request: Request, protocol: Protocol, limit_bytes: int) -> AwsError:
    if is_invocation(request.url.path):
        return lambda_refusals.too_large(limit_bytes)
    return aws_errors.body_too_large(protocol, limit_bytes)


async def _body(request: Request, protocol: Protocol) -> bytes:
    """The whole body; more than the limit is never kept."""
    limit_bytes = _body_limit_bytes(request)
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise _too_large(request, protocol, limit_bytes)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise _too_large(request, protocol, limit_bytes)
    return bytes(body)
