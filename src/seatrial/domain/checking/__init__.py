"""Is this what the contract says? Pure: nothing is fetched or decoded into pictures here.

A request goes resolve_task -> check_request; an answer goes through check_answer. Every problem that is found is
listed in `details["problems"]` as {error_type, field, message, valid?}; the first one is the error's own.
"""

from seatrial.domain.checking.answers import check_answer
from seatrial.domain.checking.doubtful_words import doubtful_words
from seatrial.domain.checking.media_values import MediaValue, RawMedia, base64_bytes
from seatrial.domain.checking.requests import Request, check_request
from seatrial.domain.checking.soft_failures import soft_failure
from seatrial.domain.checking.tasks import resolve_task

__all__ = [
    "MediaValue",
    "RawMedia",
    "Request",
    "base64_bytes",
    "check_answer",
    "check_request",
    "doubtful_words",
    "resolve_task",
    "soft_failure",
]
