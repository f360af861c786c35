"""SNS's errors. Source: botocore's service model of 2010-03-31."""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.domain.errors import BadInput, NotFound, SeatrialError
from seatrial.domain.limits import TOPIC_BATCH_ENTRIES_MAX, TOPIC_MESSAGE_BYTES_MAX
from seatrial.http.dialects.aws_errors import AwsError

INVALID_PARAMETER = "InvalidParameter"


def invalid(message: str) -> AwsError:
    """A parameter that cannot be."""
    return AwsError(INVALID_PARAMETER, f"Invalid parameter: {message}")


def check_batch(ids: Sequence[str], size_bytes: int) -> None:
    """Whether these can be one batch. Raises AwsError."""
    if not ids:
        raise AwsError("EmptyBatchRequest", "The batch request doesn't contain any entries.")
    if len(ids) > TOPIC_BATCH_ENTRIES_MAX:
        raise AwsError("TooManyEntriesInBatchRequest", f"A batch has at most {TOPIC_BATCH_ENTRIES_MAX} entries.")
    if len(set(ids)) < len(ids):
        raise AwsError("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
    if size_bytes > TOPIC_MESSAGE_BYTES_MAX:
        raise AwsError("BatchRequestTooLong", f"A batch has at most {TOPIC_MESSAGE_BYTES_MAX:,} bytes.")


def refused(error: SeatrialError) -> AwsError:
    """An error of the engine's, as SNS says it."""
    if isinstance(error, NotFound):
        return AwsError("NotFound", error.message, 404)
    if isinstance(error, BadInput):
        about = f"{error.field}: " if error.field else ""
        return invalid(about + error.sentence)
    return AwsError("InternalError", error.message, 500)
