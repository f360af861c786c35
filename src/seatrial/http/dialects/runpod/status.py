"""How a job looks to a RunPod client: its states, its times, its output or error."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.domain.errors import DEADLINE_EXCEEDED, INVOCATION_TIMEOUT, QUEUE_TTL_EXPIRED, SeatrialError
from seatrial.domain.jobs import Job, JobState

IN_QUEUE = "IN_QUEUE"
IN_PROGRESS = "IN_PROGRESS"
COMPLETED = "COMPLETED"
FAILED = "FAILED"
CANCELLED = "CANCELLED"
TIMED_OUT = "TIMED_OUT"

HANDLER_ERROR = "error"  # in a failure's details: what the handler itself put under "error", whole
HANDLER_OUTPUT = "output"  # and what stood beside it
NO_OUTPUT = object()

_STATES: Mapping[JobState, str] = {
    JobState.AWAITING_UPLOAD: IN_QUEUE,  # RunPod has no word for it
    JobState.QUEUED: IN_QUEUE,
    JobState.RUNNING: IN_PROGRESS,
    JobState.PUBLISHING: IN_PROGRESS,
    JobState.SUCCEEDED: COMPLETED,
    JobState.FAILED: FAILED,
    JobState.CANCELLED: CANCELLED,
}
_TIMEOUTS = frozenset({QUEUE_TTL_EXPIRED, INVOCATION_TIMEOUT, DEADLINE_EXCEEDED})


def state_of(job: Job) -> str:
    """RunPod's word for where a job is. Once its cancel was wished nothing else can come of a running one."""
    if job.state is JobState.RUNNING and job.cancel_requested:
        return CANCELLED
    if job.state is JobState.FAILED and (job.failure or {}).get("error_type") in _TIMEOUTS:
        return TIMED_OUT
    return _STATES[job.state]


def status(job: Job, shown_id: str, output: Any = NO_OUTPUT, progress: Any = NO_OUTPUT) -> dict[str, Any]:
    """The document of status, runsync and webhooks. Times are in milliseconds.

    `output` is that of a job that succeeded, `progress` what the handler last told of one that runs.
    """
    document: dict[str, Any] = {"id": shown_id, "status": state_of(job)}
    if job.started_at_ms is not None:
        document["delayTime"] = max(0, job.started_at_ms - job.submitted_at_ms)
        if job.ended_at_ms is not None:
            document["executionTime"] = max(0, job.ended_at_ms - job.started_at_ms)
    if output is NO_OUTPUT and document["status"] == IN_PROGRESS:
        output = progress
    if output is not NO_OUTPUT:
        document["output"] = output
    if job.ended and job.state is not JobState.SUCCEEDED:
        document |= _failure(job.failure or {})
    return document


def stream_status(job: Job) -> str:
    """The status that `stream` tells.

    Of a cancelled job it is FAILED: the SDK's loop over a stream ends on COMPLETED, FAILED and TIMED_OUT only
    (`endpoint/helpers.py`, FINAL_STATES) and would ask for ever on CANCELLED.
    """
    told = state_of(job)
    return FAILED if told == CANCELLED else told


def stream(job: Job, chunks: Sequence[Any]) -> dict[str, Any]:
    """The document of `stream`: what came since it was last asked for."""
    document: dict[str, Any] = {"status": stream_status(job), "stream": [{"output": one} for one in chunks]}
    if job.ended and job.state is not JobState.SUCCEEDED:
        document["error"] = _failure(job.failure or {})["error"]
    return document


def health(counts: Mapping[JobState, int], workers: Mapping[str, int]) -> dict[str, Any]:
    """The document of `health`."""
    running = counts.get(JobState.RUNNING, 0) + counts.get(JobState.PUBLISHING, 0)
    jobs = {
        "completed": counts.get(JobState.SUCCEEDED, 0),
        "failed": counts.get(JobState.FAILED, 0),
        "inProgress": running,
        "inQueue": counts.get(JobState.QUEUED, 0),
        "retried": 0,
    }
    return {"jobs": jobs, "workers": dict(workers)}


def refusal(error: SeatrialError) -> dict[str, Any]:
    """The body of a refusal. `status` is for the asyncio client, which reads it whatever the HTTP status was."""
    return {"error": error.sentence, "error_type": error.error_type, "status": FAILED} | error.details


def _failure(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the handler said, whole; of an exception, what RunPod's worker tells of one."""
    details = document.get("details") or {}
    message = str(document.get("message", ""))
    if HANDLER_ERROR in details:
        told = {"error": details[HANDLER_ERROR]}
        return told | ({"output": details[HANDLER_OUTPUT]} if HANDLER_OUTPUT in details else {})
    if "exception" in details:
        said = {
            "error_type": f"<class '{details['exception']}'>",
            "error_message": message,
            "error_traceback": details.get("traceback", ""),
        }
        return {"error": json.dumps(said)}
    return {"error": message}
