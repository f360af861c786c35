"""How a job, its callback and the server look to a client of the studio protocol."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from seatrial.domain.delivery import EXPIRED, Delivery, DeliveryState
from seatrial.domain.errors import DEADLINE_EXCEEDED, INVOCATION_TIMEOUT, QUEUE_TTL_EXPIRED, SeatrialError
from seatrial.domain.jobs import Job, JobState, Part
from seatrial.domain.media_types import essence
from seatrial.http.dialects.studio.requests import NAME

INFERENCE, TRAINING = "inference", "training"
QUEUED, PROCESSING, COMPLETED, FAILED, TIMEOUT = "queued", "processing", "completed", "failed", "timeout"
_STATES: Mapping[JobState, str] = {
    JobState.AWAITING_UPLOAD: QUEUED,  # the protocol has no word for it
    JobState.QUEUED: QUEUED,
    JobState.RUNNING: PROCESSING,
    JobState.PUBLISHING: PROCESSING,
    JobState.SUCCEEDED: COMPLETED,
    JobState.FAILED: FAILED,
    JobState.CANCELLED: FAILED,  # the protocol has no word for it; the error says so
}
_TIMEOUTS = frozenset({QUEUE_TTL_EXPIRED, INVOCATION_TIMEOUT, DEADLINE_EXCEEDED})
_PRIMARY = "result"


def shown_id(job: Job) -> str:
    """The client's own name of a job; of one that has none, of a retry and of other doors' jobs, ours."""
    return job.id if job.retry_of else job.attributes.get(NAME, job.id)


def state_of(job: Job) -> str:
    """The protocol's word for where a job is."""
    if job.state is JobState.FAILED and (job.failure or {}).get("error_type") in _TIMEOUTS:
        return TIMEOUT
    return _STATES[job.state]


def picture_of(job: Job) -> Part | None:
    """The part with the job's image: its primary one if that is an image, else the first that is."""
    images = [part for part in job.parts if essence(part.media_type).startswith("image/")]
    return next((part for part in images if part.name == _PRIMARY), images[0] if images else None)


def result_of(job: Job) -> Part | None:
    """What /inference/result gives: the image, or what there is instead."""
    return picture_of(job) or next((part for part in job.parts if part.name == _PRIMARY), None)


def accepted(job_id: str, kind: str) -> dict[str, Any]:
    """The answer of /inference and /train."""
    document = {
        "accepted": True,
        "job_id": job_id,
        "status": QUEUED,
        "message": f"The {kind} job is in the queue.",
        "status_url": f"/{kind}/status/{job_id}",
    }
    return document | ({"result_url": result_path(job_id)} if kind == INFERENCE else {})


def result_path(job_id: str) -> str:
    """Where a job's result is."""
    return f"/inference/result/{job_id}"


def status(job: Job, kind: str, base: str, progress: Any = None) -> dict[str, Any]:
    """The document of a job. `base` is the server's URL as the client has it, without a slash at its end.

    `progress`: what the handler last told of one that runs; None: nothing.
    """
    shown = shown_id(job)
    document: dict[str, Any] = {
        "job_id": shown,
        "job_type": kind,
        "status": state_of(job),
        "created_at": instant(job.submitted_at_ms),
        "started_at": instant(job.started_at_ms),
        "completed_at": instant(job.ended_at_ms),
        "progress": progress,
    }
    if result_of(job) is not None:
        document["result_url"] = result_path(shown)
    if picture_of(job) is not None:
        document["image_url"] = base + result_path(shown)
    if job.failure is not None:
        document |= {"error": error_of(job), "error_type": job.failure.get("error_type")}
    return {name: value for name, value in document.items() if value is not None}


def error_of(job: Job) -> str:
    """What went wrong, for people; empty: nothing."""
    return "" if job.failure is None else str(job.failure.get("message") or state_of(job))


def callback(job: Job, told: Delivery | None) -> dict[str, Any] | None:
    """What became of a job's callback; None: nothing yet."""
    if not job.ended:
        return None
    document: dict[str, Any] = {"status": "skipped", "payload_status": state_of(job)}
    if told is None:
        return document
    if not told.attempts:
        return None
    last = told.attempts[-1]
    document["attempted_at"] = instant(last.at_ms)
    if last.status is None:
        return document | {"status": "expired" if last.error == EXPIRED else "error", "error": last.error}
    delivered = told.state is DeliveryState.DELIVERED
    document |= {"status": "delivered" if delivered else "failed", "status_code": last.status}
    return document | {"response_preview": last.answer}


def refusal(error: SeatrialError) -> dict[str, Any]:
    """The body of a refusal; `detail` is what the protocol's own servers say it in."""
    said = {"accepted": False, "detail": error.sentence, "error": error.message, "error_type": error.error_type}
    return said | error.details


def instant(at_ms: int | None) -> str | None:
    """ISO 8601, in UTC."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
