"""What can go wrong, as a tree.

SeatrialError
├── BadInput            the request itself: names the field and what would be valid
├── NotFound            no such endpoint, job, object, bucket
├── Conflict            the name is taken, the state does not allow it, the idempotency key had another request
├── Busy                try later: the queue is full, the endpoint is not in service yet, the store is away
├── Forbidden           these credentials do not reach this
└── Unproven            a package or a version failed inspection, load or proof

`error_type` is the stable word that programs read; the message is for people and says the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Words of error_type used by the server itself. A handler's own words pass through unchanged.
UNKNOWN_TASK = "unknown_task"
MISSING_FIELD = "missing_field"
INVALID_FIELD = "invalid_field"
UNKNOWN_FIELD = "unknown_field"
MALFORMED_INPUT = "malformed_input"
UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
PAYLOAD_TOO_LARGE = "payload_too_large"
IMAGE_UNDECODABLE = "image_undecodable"
MEDIA_TOO_LARGE = "media_too_large"
MEDIA_TOO_SMALL = "media_too_small"
INPUT_NOT_FOUND = "input_not_found"
INPUT_CHANGED = "input_changed"
INPUT_UNREACHABLE = "input_unreachable"
OUTPUT_CONTRACT = "output_contract"
OUTPUT_INVALID = "output_invalid"  # a validator that the contract names found it wanting
OUTPUT_NOT_SERIALISABLE = "output_not_serialisable"
OUTPUT_TOO_LARGE = "output_too_large"
SOFT_FAILURE = "soft_failure"  # the handler answered that it failed, without a word of its own for it
MOCK_OUTPUT = "mock_output"
HANDLER_ERROR = "handler_error"
INPUT_REFUSED = "input_refused"  # by the server of a package of the layout http
HANDLER_EXITED = "handler_exited"
OUT_OF_MEMORY = "out_of_memory"
DEVICE_OUT_OF_MEMORY = "device_out_of_memory"
DEVICE_FAULT = "device_fault"
SCRATCH_FULL = "scratch_full"
STREAM_CLOSED = "stream_closed"
LINK_LOST = "link_lost"
LINK_BROKEN = "link_broken"
TOO_MANY_PROCESSES = "too_many_processes"
WORKER_STALLED = "worker_stalled"
WORKER_CRASHED = "worker_crashed"
LOAD_FAILED = "load_failed"
LOAD_TIMEOUT = "load_timeout"
DEVICE_UNAVAILABLE = "device_unavailable"
DEVICE_NOT_USED = "device_not_used"
INVOCATION_TIMEOUT = "invocation_timeout"
UPLOAD_EXPIRED = "upload_expired"
UPLOAD_NOT_AWAITED = "upload_not_awaited"
UPLOADS_TOO_MANY = "uploads_too_many"
NEVER_UPLOADED = "never_uploaded"
QUEUE_TTL_EXPIRED = "queue_ttl_expired"
DEADLINE_EXCEEDED = "deadline_exceeded"
CANCELLED = "cancelled"
PUBLISH_FAILED = "publish_failed"
CLIENT_BUCKET_REFUSED = "client_bucket_refused"
QUEUE_FULL = "queue_full"
SERVER_STOPPING = "server_stopping"
OUTPUT_BUCKET_MISSING = "output_bucket_missing"
IDEMPOTENCY_CONFLICT = "idempotency_conflict"
ENDPOINT_NOT_FOUND = "endpoint_not_found"
ENDPOINT_NOT_IN_SERVICE = "endpoint_not_in_service"
ENDPOINT_DELETED = "endpoint_deleted"
JOB_NOT_FOUND = "job_not_found"
JOB_NOT_ENDED = "job_not_ended"
JOB_ALREADY_ENDED = "job_already_ended"
OUTPUT_NAME_TAKEN = "output_name_taken"
FILE_EXISTS = "file_exists"
ATTEMPTS_EXHAUSTED = "attempts_exhausted"
STORE_UNAVAILABLE = "store_unavailable"
INTERNAL_ERROR = "internal_error"
BACKUP_RUNNING = "backup_running"
BACKUP_ELSEWHERE = "backup_elsewhere"  # the database has tools of its own for that
DELIVERY_NOT_FOUND = "delivery_not_found"
TOPIC_NOT_FOUND = "topic_not_found"
WEBHOOK_NOT_FOUND = "webhook_not_found"
SUBSCRIPTION_NOT_FOUND = "subscription_not_found"
TRIGGER_NOT_FOUND = "trigger_not_found"
TRIGGER_EXISTS = "trigger_exists"
TRIGGER_ELSEWHERE = "trigger_elsewhere"  # it is part of its bucket's notification configuration
TRIGGER_LOOP = "trigger_loop"
TRIGGERS_TOO_MANY = "triggers_too_many"
ALARM_NOT_FOUND = "alarm_not_found"
SCALING_NOT_FOUND = "scaling_not_found"
VERSION_NOT_FOUND = "version_not_found"
TRIAL_REPORT_NOT_FOUND = "trial_report_not_found"
MISSING_SCOPE = "missing_scope"
OUT_OF_REACH = "out_of_reach"
KEY_NOT_FOUND = "key_not_found"
KEY_REVOKED = "key_revoked"
KEY_UNSEALED = "key_unsealed"
TOO_MANY_KEYS = "too_many_keys"


class SeatrialError(Exception):
    """The root. `field` and `valid` are set where a field is at fault, `task` where a job's task is known by now."""

    task: str | None = None

    def __init__(
        self,
        error_type: str,
        message: str,
        *,
        field: str | None = None,
        valid: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.field = field
        self.valid = valid
        self.extra = dict(details or {})

    @property
    def sentence(self) -> str:
        """The message with what would be valid, for wires that have one text for both."""
        return f"{self.message} Valid: {self.valid}." if self.valid else self.message

    @property
    def details(self) -> dict[str, Any]:
        """`field`, `valid` and whatever else was said, for a failure document or a problem body."""
        named = {"field": self.field, "valid": self.valid}
        return {key: value for key, value in named.items() if value is not None} | self.extra


class BadInput(SeatrialError):
    """The request is at fault; it costs nothing but that request."""


class NotFound(SeatrialError):
    """There is no such thing, or these credentials may not know of it."""


class Conflict(SeatrialError):
    """The thing exists or is in a state that does not allow this."""


class Busy(SeatrialError):
    """Try again later, after `retry_after_seconds`."""

    def __init__(self, error_type: str, message: str, retry_after_seconds: int = 5, **rest: Any) -> None:
        super().__init__(error_type, message, **rest)
        self.retry_after_seconds = retry_after_seconds


class Forbidden(SeatrialError):
    """These credentials do not reach this."""


class Unproven(SeatrialError):
    """A package or a version that failed inspection, load or proof. `error_type` names the stage."""
