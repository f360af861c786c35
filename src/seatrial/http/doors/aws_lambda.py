"""AWS Lambda for clients: any endpoint is the function of its name. Invoke, GetFunction, ListFunctions.

An invocation that is waited for is a job that is waited for: one that finds no worker free waits in the queue, and
only a full queue is answered by TooManyRequestsException.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

from starlette.responses import Response

from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope
from seatrial.domain.endpoint import Endpoint, EndpointVersion
from seatrial.domain.errors import NotFound, SeatrialError
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.limits import (
    JSON_PARSED_ON_LOOP_BYTES_MAX,
    LAMBDA_LAYER_URL_SECONDS,
    LAMBDA_LIST_MAX,
    LAMBDA_LOG_WAIT_MS,
    LAMBDA_PAYLOAD_BYTES_MAX,
    LAMBDA_WAIT_SECONDS,
)
from seatrial.domain.logs import LogFilter
from seatrial.domain.media_types import essence, is_json
from seatrial.engine.submission import Submission
from seatrial.http import aws_shapes
from seatrial.http.aws_request import AwsRequest
from seatrial.http.aws_shapes import ServiceShapes
from seatrial.http.dialects.aws_errors import Protocol, unknown_operation
from seatrial.http.dialects.aws_lambda import functions, layers, names, outcomes, refusals
from seatrial.http.dialects.aws_lambda import invocations as dialect
from seatrial.http.dialects.aws_lambda.names import FunctionName
from seatrial.http.dialects.logs import GROUP_PREFIX
from seatrial.http.doors.lambda_functions import FunctionMaker
from seatrial.http.doors.lambda_layers import LayerShelf, object_of, require_whole
from seatrial.http.presigned import presigned_url
from seatrial.http.published import published_bytes
from seatrial.http.services import Services

DOOR = "lambda"
JSON = "application/json"
PRIMARY = "result"
LOG_PAUSE_MS = 25
LOG_QUIET_PAUSES = 4  # without a new line: that was the last one
OFFERED = (
    "CreateFunction, DeleteFunction, DeleteLayerVersion, GetFunction, GetFunctionConfiguration, GetLayerVersion, "
    "Invoke, ListFunctions, ListLayerVersions, PublishLayerVersion, UpdateFunctionCode, UpdateFunctionConfiguration"
)
_SUBMIT, _LOOK, _DEPLOY = (KeyScope.SUBMIT,), (KeyScope.READ, KeyScope.DEPLOY), (KeyScope.DEPLOY,)
_PATH = re.compile(r"/2015-03-31/functions/?(?P<name>[^/]*)(?P<rest>/[a-z-]+)?")

_LAYER_PATH = re.compile(r"/2018-10-31/layers/(?P<name>[^/]+)/versions(/(?P<number>\d{1,9}))?")
_WITH_DOCUMENT = frozenset(
    {"CreateFunction", "PublishLayerVersion", "UpdateFunctionCode", "UpdateFunctionConfiguration"}
)

Given = dict[str, Any]
Operation = Callable[[AwsRequest, Given], Awaitable[Response]]


def is_invocation(path: str) -> bool:
    """Whether a path is that of Invoke, whose bodies may be larger than those of other operations."""
    return path.startswith("/2015-03-31/functions/") and path.endswith("/invocations")


class LambdaDoor:
    """Requests of the service "lambda"."""

    def __init__(self, services: Services) -> None:
        self._shapes = ServiceShapes("lambda")
        self._services = services
        self._layers = LayerShelf(services)
        self._maker = FunctionMaker(services, self._layers)
        self._account_id = services.keyring.credentials.account_id
        self._operations: dict[tuple[str, bool, str], tuple[str, tuple[KeyScope, ...], Operation]] = {
            ("POST", True, "/invocations"): ("Invoke", _SUBMIT, self._invoke),
            ("GET", True, ""): ("GetFunction", _LOOK, self._function),
            ("GET", True, "/configuration"): ("GetFunctionConfiguration", _LOOK, self._configuration),
            ("GET", False, ""): ("ListFunctions", _LOOK, self._functions),
            ("POST", False, ""): ("CreateFunction", _DEPLOY, self._create),
            ("PUT", True, "/code"): ("UpdateFunctionCode", _DEPLOY, self._update_code),
            ("PUT", True, "/configuration"): ("UpdateFunctionConfiguration", _DEPLOY, self._update_configuration),
            ("DELETE", True, ""): ("DeleteFunction", _DEPLOY, self._delete),
        }
        self._of_layers: dict[tuple[str, bool], tuple[str, tuple[KeyScope, ...], Operation]] = {
            ("POST", False): ("PublishLayerVersion", _DEPLOY, self._publish_layer),
            ("GET", False): ("ListLayerVersions", _LOOK, self._layer_versions),
            ("GET", True): ("GetLayerVersion", _LOOK, self._layer_version),
            ("DELETE", True): ("DeleteLayerVersion", _DEPLOY, self._delete_layer),
        }

    async def __call__(self, call: AwsRequest) -> Response:
        """Answer one request. Raises AwsError, Forbidden."""
        operation, scopes, run, named = self._asked(call)
        require(call.principal, *scopes)
        given = await asyncio.to_thread(self._given, call, operation, named)
        if "FunctionName" in given:
            called = names.read_name(given["FunctionName"], given.get("Qualifier")).name
            require(call.principal, *scopes, endpoint=called)
        return await run(call, given)

    def _asked(self, call: AwsRequest) -> tuple[str, tuple[KeyScope, ...], Operation, dict[str, str]]:
        """The operation, its scopes and what its path names. Raises AwsError."""
        request = call.request
        raw = request.scope["raw_path"].decode("latin-1")
        found, named = None, {}
        if path := _LAYER_PATH.fullmatch(raw):
            named = {"LayerName": unquote(path["name"])}
            if path["number"]:
                named["VersionNumber"] = path["number"]
            found = self._of_layers.get((request.method, bool(path["number"])))
        elif path := _PATH.fullmatch(raw):
            named = {"FunctionName": unquote(path["name"])}
            found = self._operations.get((request.method, bool(path["name"]), path["rest"] or ""))
        if found is None:
            asked = f"{request.method} {request.url.path}"
            raise unknown_operation(Protocol.REST_JSON, asked, DOOR, OFFERED)
        return *found, named

    def _given(self, call: AwsRequest, operation: str, named: dict[str, str]) -> Given:
        model = self._shapes.operation(operation)
        request = call.request
        try:
            given = aws_shapes.read_headers(model, request.headers, named, request.query_params)
            if operation in _WITH_DOCUMENT:
                given = _document(call.body) | given
            violations = aws_shapes.check(model, given)
        except aws_shapes.Malformed as error:
            raise refusals.broken_constraint(str(error)) from None
        if violations:
            raise refusals.broken_constraint(aws_shapes.describe(violations))
        return given

    # ------------------------------------------------------------------ Invoke

    async def _invoke(self, call: AwsRequest, given: Given) -> Response:
        endpoint, function_arn = await self._named(call, given)
        read = partial(
            dialect.read_invocation, given, call.body, function_arn, call.request.headers.get("x-amzn-trace-id")
        )
        is_short = len(call.body) <= JSON_PARSED_ON_LOOP_BYTES_MAX
        wanted = read() if is_short else await asyncio.to_thread(read)
        if wanted.kind == dialect.DRY_RUN:
            return self._answer(call.request_id, 204)
        job_id = await self._submit(call, endpoint, wanted, function_arn)
        if wanted.kind == dialect.EVENT:
            return self._answer(job_id, 202)
        return await self._waited_for(job_id, wanted, function_arn)

    async def _submit(self, call: AwsRequest, endpoint: Endpoint, wanted: dialect.Invocation, function_arn: str) -> str:
        try:
            accepted = await self._services.submitter.submit(
                Submission(
                    endpoint_name=endpoint.name,
                    owner=call.principal.owner,
                    reach=call.principal.reach,
                    door=DOOR,
                    media_type=JSON,
                    body=wanted.event,
                    attributes={dialect.EXTRAS: wanted.extras},
                    idempotency_key=call.request.headers.get("amz-sdk-invocation-id"),
                    check_now=True,
                )
            )
        except SeatrialError as error:
            raise refusals.refusal(error, function_arn) from None
        return accepted.job_id

    async def _waited_for(self, job_id: str, wanted: dialect.Invocation, function_arn: str) -> Response:
        """A client that goes away does not cancel its job."""
        try:
            job = await self._services.inspector.wait(job_id, LAMBDA_WAIT_SECONDS)
        except SeatrialError as error:
            raise refusals.refusal(error, function_arn) from None
        if not job.ended:
            raise refusals.not_ended(job.id, job.state, LAMBDA_WAIT_SECONDS)
        payload, is_error = await self._payload(job)
        headers = {"X-Amz-Function-Error": outcomes.UNHANDLED} if is_error else {}
        if wanted.wants_log:
            headers["X-Amz-Log-Result"] = outcomes.log_result(job, await self._log(job))
        return self._answer(job_id, 200, payload, headers)

    async def _payload(self, job: Job) -> tuple[bytes, bool]:
        """What the function returned, as JSON; or the document of its error, and True."""
        if job.state is not JobState.SUCCEEDED:
            return _json(outcomes.function_error(job)), True
        part = next(one for one in job.parts if one.name == PRIMARY)
        if part.size_bytes > LAMBDA_PAYLOAD_BYTES_MAX:
            return _json(outcomes.too_large(job, part.size_bytes)), True
        body = await published_bytes(self._services.inspector, self._services.objects, job, part)
        if body is None:
            return _json(outcomes.gone(job)), True
        if not is_json(part.media_type):
            body = _json(_text(body, part.media_type))
            if len(body) > LAMBDA_PAYLOAD_BYTES_MAX:
                return _json(outcomes.too_large(job, len(body))), True
        return body, False

    async def _log(self, job: Job) -> list[str]:
        """What the invocation wrote. Its last lines may take a moment to be readable."""
        which = LogFilter(group=GROUP_PREFIX + job.endpoint_name, job_id=job.id)
        lines: list[str] = []
        quiet = 0
        for _ in range(LAMBDA_LOG_WAIT_MS // LOG_PAUSE_MS):
            before, lines = lines, [line.text for line in await self._services.logs.lines(which)]
            quiet = quiet + 1 if lines == before else 0
            if quiet >= LOG_QUIET_PAUSES or any(line.startswith("REPORT RequestId:") for line in lines):
                break
            await self._services.clock.sleep_ms(LOG_PAUSE_MS)
        return lines

    # ------------------------------------------------------------------ what functions look like

    async def _function(self, call: AwsRequest, given: Given) -> Response:
        endpoint, function_arn = await self._named(call, given)
        described = functions.configuration(endpoint, await self._version(endpoint), function_arn)
        document = {"Configuration": described, "Code": {"RepositoryType": "Seatrial"}, "Tags": {}}
        return self._answer(call.request_id, 200, _json(document))

    async def _configuration(self, call: AwsRequest, given: Given) -> Response:
        endpoint, function_arn = await self._named(call, given)
        described = functions.configuration(endpoint, await self._version(endpoint), function_arn)
        return self._answer(call.request_id, 200, _json(described))

    async def _functions(self, call: AwsRequest, given: Given) -> Response:
        """A page of endpoints by name; a marker is the last name of the page before."""
        after, limit = given.get("Marker", ""), min(given.get("MaxItems", LAMBDA_LIST_MAX), LAMBDA_LIST_MAX)
        reached = [one for one in await self._services.deployer.endpoints() if call.principal.reaches(one.name)]
        rest = [one for one in reached if one.name > after]
        page = [
            functions.configuration(one, await self._version(one), names.arn(one.name, call.region, self._account_id))
            for one in rest[:limit]
        ]
        marker = {"NextMarker": rest[limit - 1].name} if len(rest) > limit else {}
        return self._answer(call.request_id, 200, _json({"Functions": page, **marker}))

    # ------------------------------------------------------------------ making and changing functions

    async def _create(self, call: AwsRequest, given: Given) -> Response:
        function_arn = names.arn(given["FunctionName"], call.region, self._account_id)
        endpoint = await self._maker.create(given, call.principal, function_arn)
        return await self._changed(call, endpoint, function_arn, 201)

    async def _update_code(self, call: AwsRequest, given: Given) -> Response:
        endpoint, function_arn = await self._named(call, given)
        updated = await self._maker.update_code(endpoint, given, call.principal, function_arn)
        return await self._changed(call, updated, function_arn)

    async def _update_configuration(self, call: AwsRequest, given: Given) -> Response:
        endpoint, function_arn = await self._named(call, given)
        updated = await self._maker.update_configuration(endpoint, given, call.principal, function_arn)
        return await self._changed(call, updated, function_arn)

    async def _delete(self, call: AwsRequest, given: Given) -> Response:
        endpoint, _ = await self._named(call, given)
        await self._maker.delete(endpoint)
        return self._answer(call.request_id, 204)

    async def _changed(self, call: AwsRequest, endpoint: Endpoint, function_arn: str, status: int = 200) -> Response:
        described = functions.configuration(endpoint, await self._version(endpoint), function_arn)
        return self._answer(call.request_id, status, _json(described))

    # ------------------------------------------------------------------ layers

    async def _publish_layer(self, call: AwsRequest, given: Given) -> Response:
        require_whole(call.principal)
        name = layers.read_name(given["LayerName"])
        version = await self._maker.publish_layer(name, given, call.principal)
        return self._layer(call, version, 201)

    async def _layer_version(self, call: AwsRequest, given: Given) -> Response:
        require_whole(call.principal)
        name = layers.read_name(given["LayerName"])
        return self._layer(call, await self._layers.version(name, int(given["VersionNumber"])), 200)

    async def _layer_versions(self, call: AwsRequest, given: Given) -> Response:
        """A page of a layer's versions, the newest first; a marker is the last number of the page before."""
        require_whole(call.principal)
        name = layers.read_name(given["LayerName"])
        layer_arn = layers.arn_of(name, call.region, self._account_id)
        marker, limit = given.get("Marker", ""), min(given.get("MaxItems", LAMBDA_LIST_MAX), LAMBDA_LIST_MAX)
        before = int(marker) if marker.isdecimal() and len(marker) < 10 else None
        rest = [one for one in await self._layers.versions(name) if before is None or one.number < before]
        page = [layers.described(one, layer_arn) for one in rest[:limit]]
        following = {"NextMarker": str(rest[limit - 1].number)} if len(rest) > limit else {}
        return self._answer(call.request_id, 200, _json({"LayerVersions": page, **following}))

    async def _delete_layer(self, call: AwsRequest, given: Given) -> Response:
        require_whole(call.principal)
        await self._layers.delete(layers.read_name(given["LayerName"]), int(given["VersionNumber"]))
        return self._answer(call.request_id, 204)

    def _layer(self, call: AwsRequest, version: layers.LayerVersion, status: int) -> Response:
        layer_arn = layers.arn_of(version.name, call.region, self._account_id)
        services = self._services
        name = object_of(version.name, version.number)
        url = presigned_url(
            services.keyring, call.principal, "GET", services.url_for(call.request), name, LAMBDA_LAYER_URL_SECONDS
        )
        return self._answer(call.request_id, status, _json(layers.described(version, layer_arn, url)))

    # ------------------------------------------------------------------ inside

    async def _named(self, call: AwsRequest, given: Given) -> tuple[Endpoint, str]:
        """The endpoint that is meant, and the ARN that it was called by. Raises AwsError."""
        asked = names.read_name(given["FunctionName"], given.get("Qualifier"))
        function_arn = names.arn(asked.name, call.region, asked.account_id or self._account_id, asked.qualifier)
        try:
            endpoint = await self._services.deployer.endpoint(asked.name)
        except NotFound:
            raise refusals.not_found(function_arn) from None
        if not await self._is_there(asked, endpoint):
            raise refusals.not_found(function_arn)
        return endpoint, function_arn

    async def _is_there(self, asked: FunctionName, endpoint: Endpoint) -> bool:
        """Of an endpoint's versions the one in service can be called, as $LATEST or by its number."""
        if asked.account_id not in (None, self._account_id):
            return False
        if asked.qualifier in (None, names.LATEST):
            return True
        active = endpoint.active_version
        return active is not None and asked.qualifier == str((await self._services.deployer.version(active)).number)

    async def _version(self, endpoint: Endpoint) -> EndpointVersion:
        if endpoint.active_version is not None:
            return await self._services.deployer.version(endpoint.active_version)
        return (await self._services.deployer.versions(endpoint.name))[-1]

    def _answer(
        self, request_id: str, status: int, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Response:
        """The request id of an invocation is its job's: what the handler knows as aws_request_id."""
        always = {"x-amzn-RequestId": request_id, "X-Amz-Executed-Version": names.LATEST}
        return Response(body, status, {**always, **(headers or {})}, JSON if body else None)


def makes_function(method: str, path: str) -> bool:
    """Whether a request may bring code, and so be larger than those of other operations."""
    if method == "POST" and path.startswith("/2018-10-31/layers/"):
        return True
    return (method == "POST" and path.rstrip("/") == "/2015-03-31/functions") or (
        method == "PUT" and path.startswith("/2015-03-31/functions/") and path.endswith("/code")
    )


def _document(body: bytes) -> Given:
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise refusals.invalid_content(f"Could not parse request body into json: {error}") from None
    if not isinstance(document, dict):
        raise refusals.invalid_content("The request must be a JSON object.")
    return {name: value for name, value in document.items() if value is not None}


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _text(body: bytes, media_type: str) -> str:
    """A result that is no JSON as a JSON text: a text as it is, anything else as a data URL."""
    if essence(media_type).startswith("text/"):
        return body.decode(errors="replace")
    return f"data:{essence(media_type)};base64,{base64.b64encode(body).decode()}"
