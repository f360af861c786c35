"""SageMaker's runtime: what its headers mean for a job, and how a job's end is told.

Shapes are those of botocore's service model of 2017-05-13. InferenceId and CustomAttributes are this dialect's
words; a job keeps them in its attributes, and they go to the handler as they came.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from seatrial.domain import errors
from seatrial.domain.errors import Busy, NotFound, SeatrialError
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.objects import ObjectName
from seatrial.http.dialects.aws_errors import AwsError

INFERENCE_ID = "inference_id"
CUSTOM_ATTRIBUTES = "custom_attributes"

_CLIENT_FAULTS = frozenset(
    {
        errors.UNKNOWN_TASK,
        errors.MISSING_FIELD,
        errors.INVALID_FIELD,
        errors.UNKNOWN_FIELD,
        errors.MALFORMED_INPUT,
        errors.UNSUPPORTED_MEDIA_TYPE,
        errors.PAYLOAD_TOO_LARGE,
        errors.IMAGE_UNDECODABLE,
        errors.MEDIA_TOO_LARGE,
        errors.INPUT_NOT_FOUND,
        errors.INPUT_CHANGED,
        errors.INPUT_UNREACHABLE,
    }
)
_NOT_HERE = ("TargetModel", "TargetContainerHostname", "InferenceComponentName", "EnableExplanations", "SessionId")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One InvokeEndpoint or InvokeEndpointAsync, understood. Exactly one of `body` and `object` is set."""

    endpoint_name: str
    media_type: str | None  # None: nothing was said
    accept: str
    attributes: Mapping[str, str]
    body: bytes | None = None
    object: ObjectName | None = None
    queue_ttl_seconds: int | None = None
    invocation_timeout_seconds: int | None = None
    result_filename: str | None = None
    result_extension: str | None = None
    inference_id_given: bool = False  # by the client; else it is made up


def invalid(message: str) -> AwsError:
    """The request cannot be met."""
    return AwsError("ValidationError", message)


def not_found(endpoint_name: str, account_id: str) -> AwsError:
    """There is no such endpoint."""
    return invalid(f"Endpoint {endpoint_name} of account {account_id} not found.")


# ---------------------------------------------------------------- requests


def invocation(given: Mapping[str, Any], body: bytes, base_url: str, invocation_id: str | None) -> Invocation:
    """Read the members of InvokeEndpointAsync.

    Args:
        invocation_id: the same in every attempt of an SDK's call; an InferenceId that was not given follows from
            it, so that a repeated attempt asks for the very same thing and gets the very same answer.

    Raises:
        AwsError: not exactly one input, or one that is not here.
    """
    location = given.get("InputLocation")
    if location is not None and body:
        raise invalid("InputLocation and Body exclude each other: give one of them.")
    if location is None and not body:
        raise invalid("Either InputLocation or Body must be given.")
    extension = given.get("S3OutputPathExtension")
    if extension is not None:
        _check_extension(extension)
    return Invocation(
        endpoint_name=given["EndpointName"],
        media_type=given.get("ContentType"),
        accept=given.get("Accept") or "*/*",
        attributes=_attributes(given, invocation_id),
        body=body if location is None else None,
        object=None if location is None else _input(location, base_url),
        queue_ttl_seconds=given.get("RequestTTLSeconds"),
        invocation_timeout_seconds=given.get("InvocationTimeoutSeconds"),
        result_filename=given.get("Filename"),
        result_extension=extension,
        inference_id_given="InferenceId" in given,
    )


def synchronous(given: Mapping[str, Any], body: bytes, invocation_id: str | None) -> Invocation:
    """Read the members of InvokeEndpoint.

    Raises:
        AwsError: it asks for what is not offered.
    """
    for name in _NOT_HERE:
        if name in given:
            raise invalid(f"{name} is not offered here.")
    return Invocation(
        endpoint_name=given["EndpointName"],
        media_type=given.get("ContentType"),
        accept=given.get("Accept") or "*/*",
        attributes=_attributes(given, invocation_id),
        body=body,
        inference_id_given="InferenceId" in given,
    )


def _attributes(given: Mapping[str, Any], invocation_id: str | None) -> dict[str, str]:
    inference_id = given.get("InferenceId")
    if inference_id is None:
        seed = uuid.uuid5(uuid.NAMESPACE_OID, f"inference {invocation_id}")
        inference_id = str(seed if invocation_id else uuid.uuid4())
    attributes = {INFERENCE_ID: inference_id}
    if "CustomAttributes" in given:
        attributes[CUSTOM_ATTRIBUTES] = given["CustomAttributes"]
    return attributes


def _check_extension(extension: str) -> None:
    if any(part in ("", ".", "..") for part in extension.strip("/").split("/")) or extension.startswith("/"):
        raise invalid(f"S3OutputPathExtension must be a relative path without '.' and '..' in it, not {extension!r}.")


def _input(location: str, base_url: str) -> ObjectName:
    """The object of an s3:// URI, or of an https:// URL of this server's own S3 endpoint."""
    valid = f"s3://bucket/key of an object here, or https://{urlsplit(base_url).netloc}/bucket/key"
    try:
        if location.startswith("s3://"):
            return ObjectName.from_uri(location)
        url = urlsplit(location)
        if url.netloc == urlsplit(base_url).netloc and not url.query and not url.fragment:
            return ObjectName.from_uri("s3:/" + unquote(url.path))
    except ValueError:
        pass  # answered below, together with the places that are not here
    raise invalid(f"InputLocation {location!r} is not an object of this server. Valid: {valid}.")


# ---------------------------------------------------------------- refusals


def refusal(error: SeatrialError, account_id: str, endpoint_name: str) -> AwsError:
    """What AWS would call the engine's no."""
    if isinstance(error, NotFound):
        return not_found(endpoint_name, account_id)
    if isinstance(error, Busy):
        retry_after = {"Retry-After": str(error.retry_after_seconds)}
        return AwsError("ServiceUnavailable", error.message, 503, headers=retry_after)
    return invalid(error.sentence)


def model_error(job: Job, log_arn: str) -> AwsError:
    """A job that ended without a result: the failure document is the original message."""
    document = dict(job.failure or {"status": "error", "error_type": errors.CANCELLED, "message": "cancelled"})
    kind = document.get("error_type")
    said = document.get("details", {}).get("status_code")  # the handler's own, where it has one
    status = said if isinstance(said, int) and 400 <= said < 600 else 400 if kind in _CLIENT_FAULTS else 500
    what = "cancelled" if job.state is JobState.CANCELLED else "client error" if status < 500 else "server error"
    message = (
        f'Received {what} ({status}) from primary with message "{document.get("message", "")}". '
        f"See {log_arn} for more information."
    )
    members = {"OriginalStatusCode": status, "OriginalMessage": json.dumps(document), "LogStreamArn": log_arn}
    return AwsError("ModelError", message, 424, members)


def timed_out(job: Job, waited_seconds: int) -> AwsError:
    """The job goes on; the client has waited as long as it may."""
    message = (
        f"Job {job.id} is {job.state} after {waited_seconds} s and goes on: its result will be at "
        f"{job.output.result.uri}. For jobs of this length use InvokeEndpointAsync."
    )
    document = {"status": "error", "error_type": "not_ended_yet", "message": message, "job_id": job.id}
    members = {"OriginalStatusCode": 0, "OriginalMessage": json.dumps(document)}
    return AwsError("ModelError", f"Your invocation timed out while waiting for a response. {message}", 424, members)


def log_arn(region: str, account_id: str, endpoint_name: str) -> str:
    """The ARN of the endpoint's log group."""
    return f"arn:aws:logs:{region}:{account_id}:log-group:/aws/sagemaker/Endpoints/{endpoint_name}"


# ---------------------------------------------------------------- answers


def accepted_headers(result: ObjectName, failure: ObjectName) -> dict[str, str]:
    """Where the outcome of an asynchronous invocation will be."""
    return {
        "X-Amzn-SageMaker-OutputLocation": result.uri,
        "X-Amzn-SageMaker-FailureLocation": failure.uri,
    }


def result_headers(job: Job, variant: str) -> dict[str, str]:
    """The headers of a synchronous answer, besides its Content-Type."""
    headers = {"x-Amzn-Invoked-Production-Variant": variant}
    if CUSTOM_ATTRIBUTES in job.attributes:
        headers["X-Amzn-SageMaker-Custom-Attributes"] = job.attributes[CUSTOM_ATTRIBUTES]
    headers["X-Amzn-SageMaker-Inference-Id"] = job.attributes[INFERENCE_ID]
    return headers
