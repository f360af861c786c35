"""SNS's errors. Source: botocore's service model of 2010-03-31."""

from __future__ import annotations

from seatrial.domain.errors import BadInput, NotFound, SeatrialError
from seatrial.http.dialects.aws_errors import AwsError

INVALID_PARAMETER = "InvalidParameter"


def invalid(message: str) -> AwsError:
    """A parameter that cannot be."""
    return AwsError(INVALID_PARAMETER, f"Invalid parameter: {message}")


def refused(error: SeatrialError) -> AwsError:
    """An error of the engine's, as SNS says it."""
    if isinstance(error, NotFound):
        return AwsError("NotFound", error.message, 404)
    if isinstance(error, BadInput):
        about = f"{error.field}: " if error.field else ""
        valid = f" Valid: {error.valid}." if error.valid else ""
        return invalid(f"{about}{error.message}{valid}")
    return AwsError("InternalError", error.message, 500)
