"""What Lambda answers when it does not run a function: its exceptions, as botocore's service model has them."""

from __future__ import annotations

from seatrial.domain import errors
from seatrial.domain.errors import BadInput, Busy, Conflict, NotFound, SeatrialError
from seatrial.http.dialects.aws_errors import AwsError

USER, SERVICE = "User", "Service"


def invalid(message: str) -> AwsError:
    """A parameter that cannot be met."""
    return _error("InvalidParameterValueException", message, 400)


def broken_constraint(message: str) -> AwsError:
    """A member that the service model does not let through."""
    return _error("ValidationException", message, 400)


def invalid_content(message: str) -> AwsError:
    """The payload is at fault: it is no JSON, or not what the endpoint's contract wants."""
    return _error("InvalidRequestContentException", message, 400)


def too_large(limit_bytes: int) -> AwsError:
    """The payload passed its limit."""
    message = f"Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation"
    return _error("RequestTooLargeException", message, 413)


def conflict(message: str) -> AwsError:
    """The function is there already, or is in a state that does not allow this."""
    return _error("ResourceConflictException", message, 409)


def not_found(function_arn: str) -> AwsError:
    """There is no such function, or no such version of it."""
    return _error("ResourceNotFoundException", f"Function not found: {function_arn}", 404)


def not_ended(job_id: str, state: str, waited_seconds: int) -> AwsError:
    """The client has waited as long as it may. Asked again in the same call, it waits for the same job."""
    message = (
        f"Invocation {job_id} is {state} after {waited_seconds} s and goes on. For jobs of this length use the "
        f"invocation type Event, and GET /v1/jobs/{job_id}."
    )
    return _error("ServiceException", message, 504, SERVICE)


def refusal(error: SeatrialError, function_arn: str) -> AwsError:
    """What AWS would call the engine's no."""
    if isinstance(error, NotFound):
        return not_found(function_arn)
    if isinstance(error, Busy):
        return _busy(error)
    if isinstance(error, Conflict):
        return conflict(error.sentence)
    if isinstance(error, BadInput) and error.error_type == errors.PAYLOAD_TOO_LARGE:
        return _error("RequestTooLargeException", error.sentence, 413)
    return invalid_content(error.sentence)


def refused_change(error: SeatrialError, function_arn: str) -> AwsError:
    """The engine's no to a deployment: what a payload would be to an invocation is a parameter here."""
    if isinstance(error, BadInput):
        return invalid(error.sentence)
    return refusal(error, function_arn)


def _busy(error: Busy) -> AwsError:
    if error.error_type == errors.ENDPOINT_NOT_IN_SERVICE:
        message = (
            "The operation cannot be performed at this time. The function is currently in the following state: "
            f"Pending. {error.message}"
        )
        return conflict(message)
    retry_after = str(error.retry_after_seconds)
    if error.error_type == errors.QUEUE_FULL:
        refused = _error("TooManyRequestsException", f"Rate Exceeded. {error.message}", 429)
        refused.members["Reason"] = "ConcurrentInvocationLimitExceeded"
    else:
        refused = _error("ServiceException", error.message, 503, SERVICE)
    refused.headers["Retry-After"] = retry_after
    return refused


def _error(code: str, message: str, status: int, fault: str = USER) -> AwsError:
    """Lambda's exceptions have their words under `Message` or `message`, whichever; both are there."""
    return AwsError(code, message, status, {"Type": fault, "message": message})
