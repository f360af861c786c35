"""Documents: a prediction as it is, a refusal, the list of routes. Shapes of replicate/cog 0.23."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from seatrial.domain.errors import MISSING_FIELD, UNKNOWN_FIELD, BadInput, SeatrialError
from seatrial.domain.jobs import Job, JobState
from seatrial.http.dialects.cog.requests import KIND, NAME

STARTING, PROCESSING, SUCCEEDED, FAILED, CANCELED = "starting", "processing", "succeeded", "failed", "canceled"
NO_OUTPUT = object()
AT_CAPACITY = "At capacity - all prediction slots busy"
NO_STREAMING = "This model does not support streaming responses: its output is no iterator."
_STATES = {
    JobState.QUEUED: STARTING,
    JobState.RUNNING: PROCESSING,
    JobState.PUBLISHING: PROCESSING,
    JobState.SUCCEEDED: SUCCEEDED,
    JobState.FAILED: FAILED,
    JobState.CANCELLED: CANCELED,
}
_TYPES = {MISSING_FIELD: "value_error.missing", UNKNOWN_FIELD: "value_error.extra"}
_ENVELOPE = frozenset({"prefer", "content-type"})  # fields of the headers


def shown_id(job: Job) -> str:
    """The id that its client knows it by."""
    return job.attributes.get(NAME) or job.id


def is_training(job: Job) -> bool:
    """Whether it came by /trainings."""
    return KIND in job.attributes


def state_of(job: Job) -> str:
    """The word for where it is."""
    return _STATES[job.state]


def started(job_id: str) -> dict[str, Any]:
    """The answer to a request that is not waited for."""
    return {"id": job_id, "status": STARTING}


def prediction(
    job: Job,
    *,
    logs: str,
    metrics: Mapping[str, Any],
    output: Any = NO_OUTPUT,
    given: Any = None,
) -> dict[str, Any]:
    """The document of a prediction. `given` is its input, which is told until it has ended."""
    document: dict[str, Any] = {"id": shown_id(job), "status": state_of(job), "logs": logs}
    if not job.ended:
        document |= {"input": given, "metrics": dict(metrics)}
    else:
        document["metrics"] = {**metrics, "predict_time": _predict_seconds(job)}
        if job.state is JobState.SUCCEEDED:
            document["output"] = output
        elif job.state is JobState.FAILED:
            document |= _error(job)
    times = {"created_at": job.submitted_at_ms, "started_at": job.started_at_ms, "completed_at": job.ended_at_ms}
    return document | {name: instant(at_ms) for name, at_ms in times.items() if at_ms is not None}


def under_way(job: Job, *, logs: str, metrics: Mapping[str, Any], output: Any = NO_OUTPUT) -> dict[str, Any]:
    """What a webhook is told before the end, with the output so far."""
    document = {"id": shown_id(job), "status": PROCESSING, "logs": logs, "metrics": dict(metrics)}
    return document if output is NO_OUTPUT else document | {"output": output}


def refusal(error: SeatrialError) -> dict[str, Any]:
    """The body of a refusal: of bad input `detail` lists each fault, as pydantic's servers did, with its place."""
    said: dict[str, Any] = {"error": error.message, "status": FAILED, "error_type": error.error_type}
    if isinstance(error, BadInput):
        said["detail"] = [_fault(one) for one in error.details.get("problems", ())] or [_own_fault(error)]
    return said | {name: value for name, value in error.details.items() if name in ("remedy", "field", "valid")}


def _fault(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Of an input."""
    kind = _TYPES.get(str(problem.get("error_type")), "value_error")
    missing = kind == "value_error.missing"
    message = "Field required" if missing else str(problem.get("message"))
    fault = {"loc": ["body", "input", problem.get("field") or "__root__"], "msg": message, "type": kind}
    return fault | ({"valid": problem["valid"]} if problem.get("valid") else {})


def _own_fault(error: BadInput) -> dict[str, Any]:
    """Of the request around it."""
    place = "header" if error.field in _ENVELOPE else "body"
    loc = [place] if error.field in (None, "body") else [place, error.field]
    fault = {"loc": loc, "msg": error.message, "type": _TYPES.get(error.error_type, "value_error")}
    return fault | ({"valid": error.valid} if error.valid else {})


def root(version: str, trains: bool) -> dict[str, Any]:
    """What there is, by path."""
    told = {
        "cog_version": version,
        "docs_url": "/docs",
        "openapi_url": "/openapi.json",
        "shutdown_url": "/shutdown",
        "healthcheck_url": "/health-check",
        "predictions_url": "/predictions",
        "predictions_idempotent_url": "/predictions/{prediction_id}",
        "predictions_cancel_url": "/predictions/{prediction_id}/cancel",
    }
    trainings = {
        "trainings_url": "/trainings",
        "trainings_idempotent_url": "/trainings/{training_id}",
        "trainings_cancel_url": "/trainings/{training_id}/cancel",
    }
    return told | (trainings if trains else {})


def instant(at_ms: int) -> str:
    """RFC 3339, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _predict_seconds(job: Job) -> float:
    if job.started_at_ms is None or job.ended_at_ms is None:
        return 0.0
    return (job.ended_at_ms - job.started_at_ms) / 1000


def _error(job: Job) -> dict[str, Any]:
    failure = job.failure or {}
    return {"error": str(failure.get("message", "")), "error_type": failure.get("error_type")}
