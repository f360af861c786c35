"""SageMaker's runtime: jobs, asynchronous or waited for."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from starlette.responses import Response, StreamingResponse

from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope
from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.errors import SeatrialError
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.limits import AWS_INVOCATION_TIMEOUT_SECONDS_MAX, AWS_SYNC_WAIT_SECONDS_DEFAULT
from seatrial.engine.submission import Submission
from seatrial.engine.submit import Accepted
from seatrial.http import aws_shapes
from seatrial.http.aws_request import AwsRequest
from seatrial.http.aws_shapes import ServiceShapes
from seatrial.http.dialects import sagemaker
from seatrial.http.dialects import sagemaker_runtime as dialect
from seatrial.http.dialects.aws_errors import AwsError, Protocol, unknown_operation
from seatrial.http.dialects.sagemaker_runtime import Invocation
from seatrial.http.services import Services
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject

DOOR = "sagemaker"
_PATH = re.compile(r"/endpoints/(?P<name>[^/]+)/(?P<operation>invocations|async-invocations)")
_TIMEOUT = "X-Amzn-SageMaker-InvocationTimeoutSeconds"

Given = dict[str, Any]


class SageMakerRuntimeDoor:
    """InvokeEndpointAsync and InvokeEndpoint.

    AWS refuses InvokeEndpoint for an endpoint with an AsyncInferenceConfig; here every endpoint takes both, since
    a synchronous invocation is a job that is waited for.
    """

    def __init__(self, services: Services) -> None:
        self._shapes = ServiceShapes("sagemaker-runtime")
        self._services = services
        self._account_id = services.keyring.credentials.account_id
        self._operations = {
            "invocations": ("InvokeEndpoint", self._invoke),
            "async-invocations": ("InvokeEndpointAsync", self._invoke_async),
        }

    async def __call__(self, call: AwsRequest) -> Response:
        """Answer one request. Raises AwsError."""
        path = _PATH.fullmatch(call.request.scope["raw_path"].decode("latin-1"))
        if path is None or call.request.method != "POST":
            asked = f"{call.request.method} {call.request.url.path}"
            raise unknown_operation(
                Protocol.REST_JSON, asked, "sagemaker-runtime", "InvokeEndpoint, InvokeEndpointAsync"
            )
        name = unquote(path["name"])
        require(call.principal, KeyScope.SUBMIT, endpoint=name)
        try:
            operation, run = self._operations[path["operation"]]
            response = await run(call, self._given(call, operation, name))
        except SeatrialError as error:
            refusal = dialect.refusal(error, self._account_id, name)
            self._services.figures.invoked(name, refusal.status)
            raise refusal from None
        except AwsError as error:
            self._services.figures.invoked(name, error.status)
            raise
        self._services.figures.invoked(name, response.status_code)
        return response

    def _given(self, call: AwsRequest, operation: str, endpoint_name: str) -> Given:
        model = self._shapes.operation(operation)
        try:
            given = aws_shapes.read_headers(model, call.request.headers, {"EndpointName": endpoint_name})
            violations = aws_shapes.check(model, {**given, "Body": call.body})
        except aws_shapes.Malformed as error:
            raise dialect.invalid(str(error)) from None
        if violations:
            raise dialect.invalid(aws_shapes.describe(violations))
        return given

    # ------------------------------------------------------------------ operations

    async def _invoke_async(self, call: AwsRequest, given: Given) -> Response:
        key = _invocation_id(call)
        wanted = dialect.invocation(given, call.body, self._services.base_url, key)
        accepted = await self._submit(call, wanted)
        headers = dialect.accepted_headers(accepted.output.result, accepted.output.failure)
        body = json.dumps({"InferenceId": wanted.attributes[dialect.INFERENCE_ID]})
        return Response(body, 202, {**headers, "x-amzn-RequestId": call.request_id}, "application/json")

    async def _invoke(self, call: AwsRequest, given: Given) -> Response:
        """Submit, wait, and stream the result. A client that goes away does not cancel its job."""
        came_ms = self._services.clock.monotonic_ms()
        wait_seconds = self._wait_seconds(call)
        wanted = dialect.synchronous(given, call.body, _invocation_id(call))
        variant = await self._variant(wanted.endpoint_name)
        if given.get("TargetVariant", variant) != variant:
            raise dialect.invalid(f"There is no variant {given['TargetVariant']!r}; valid: {variant!r}.")
        accepted = await self._submit(call, wanted)
        job = await self._services.inspector.wait(accepted.job_id, wait_seconds)
        if not job.ended:
            raise dialect.timed_out(job, wait_seconds)
        if job.state is not JobState.SUCCEEDED:
            raise dialect.model_error(job, dialect.log_arn(call.region, self._account_id, job.endpoint_name))
        response = await self._result(call, job, variant)
        self._services.figures.waited_for(job, self._services.clock.monotonic_ms() - came_ms)
        return response

    # ------------------------------------------------------------------ inside

    async def _submit(self, call: AwsRequest, wanted: Invocation) -> Accepted:
        return await self._services.submitter.submit(
            Submission(
                endpoint_name=wanted.endpoint_name,
                owner=call.principal.owner,
                reach=call.principal.reach,
                door=DOOR,
                media_type=wanted.media_type,
                vague_is_json=True,  # what serving toolkits take an input for when nothing was said
                body=wanted.body,
                object=wanted.object,
                accept=wanted.accept,
                queue_ttl_seconds=wanted.queue_ttl_seconds,
                invocation_timeout_seconds=wanted.invocation_timeout_seconds,
                result_filename=wanted.result_filename,
                result_extension=wanted.result_extension,
                idempotency_key=await self._key(call, wanted),
                attributes=wanted.attributes,
            )
        )

    async def _key(self, call: AwsRequest, wanted: Invocation) -> str | None:
        """The InferenceId where the endpoint takes it for one job's, else what every attempt of one call carries."""
        if wanted.inference_id_given:
            version = await self._active_version(wanted.endpoint_name)
            if version is not None and version.settings.deduplicate_inference_id:
                return f"{dialect.INFERENCE_ID}:{wanted.attributes[dialect.INFERENCE_ID]}"
        return _invocation_id(call)

    def _wait_seconds(self, call: AwsRequest) -> int:
        """As long as AWS waits, unless the header of the asynchronous twin says otherwise."""
        text = call.request.headers.get(_TIMEOUT)
        if text is None:
            return AWS_SYNC_WAIT_SECONDS_DEFAULT
        if not text.isdecimal() or not 1 <= int(text) <= AWS_INVOCATION_TIMEOUT_SECONDS_MAX:
            raise dialect.invalid(f"{_TIMEOUT} must be from 1 to {AWS_INVOCATION_TIMEOUT_SECONDS_MAX}, not {text!r}.")
        return int(text)

    async def _variant(self, endpoint_name: str) -> str:
        version = await self._active_version(endpoint_name)
        if version is None:
            return sagemaker.VARIANT_DEFAULT
        endpoint = await self._services.deployer.endpoint(endpoint_name)
        return sagemaker.variant(endpoint, version)

    async def _active_version(self, endpoint_name: str) -> EndpointVersion | None:
        endpoint = await self._services.deployer.endpoint(endpoint_name)
        if endpoint.active_version is None:
            return None
        return await self._services.deployer.version(endpoint.active_version)

    async def _result(self, call: AwsRequest, job: Job, variant: str) -> Response:
        part = next(one for one in job.parts if one.name == "result")
        try:
            reading = await self._services.objects.read(part.object)
        except (NoSuchBucket, NoSuchObject):
            raise dialect.invalid(f"The result {part.object.uri} was deleted before it could be sent.") from None
        headers = {
            **dialect.result_headers(job, variant),
            "Content-Type": part.media_type,
            "Content-Length": str(reading.length),
            "x-amzn-RequestId": call.request_id,
        }
        return StreamingResponse(reading.chunks, 200, headers)


def _invocation_id(call: AwsRequest) -> str | None:
    """What every attempt of one SDK call carries: the idempotency key that comes free."""
    return call.request.headers.get("amz-sdk-invocation-id")
