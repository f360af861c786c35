"""URLs whose PUT completes a job's input: a parameter of ours in a presigned URL, and refusals in S3's form."""

from __future__ import annotations

from seatrial.domain.errors import PAYLOAD_TOO_LARGE, UPLOAD_NOT_AWAITED, SeatrialError
from seatrial.http.dialects.aws_errors import AwsError

JOB = "x-amz-meta-seatrial-job"  # signed with the URL; S3 services that are asked with it keep it as metadata
_CODES = {PAYLOAD_TOO_LARGE: ("EntityTooLarge", 400), UPLOAD_NOT_AWAITED: ("UploadNotAwaited", 409)}


def refusal(error: SeatrialError) -> AwsError:
    """What is wrong with the PUT, with what would be valid."""
    code, status = _CODES.get(error.error_type, ("InvalidRequest", 400))
    return AwsError(code, error.sentence, status, {"ErrorType": error.error_type})
