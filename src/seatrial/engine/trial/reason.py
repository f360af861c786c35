"""Why a trial failed, in words: for the stage's report, and as an endpoint's FailureReason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from seatrial.domain import errors
from seatrial.domain.errors import SeatrialError, Unproven
from seatrial.domain.failures import Failure
from seatrial.domain.jobs import Job
from seatrial.domain.meanings import MEANINGS

REMEDIES = {  # for failures that bring none of their own
    errors.OUTPUT_CONTRACT: "Mend what the handler returns, or the task's output in the contract.",
    errors.OUTPUT_INVALID: "Mend what the handler returns, or the thresholds of `validate` in the contract.",
    errors.INVOCATION_TIMEOUT: "Raise invocation_timeout_seconds in [worker], or make the sample smaller.",
    errors.WORKER_CRASHED: "Run the handler by hand on the sample; `seatrial logs NAME` has what it printed last.",
}
_MISSING_MODULE = re.compile(r"No module named '([\w.]+)'")
TRACEBACK_BEGINS = "Traceback (most recent call last):"
MEND = "Mend the handler, then deploy again."
FAILURE_REASON_CHARS_MAX = 1_024  # as at SageMaker
SAID_CHARS_MIN = 200  # of what went wrong, however long the remedy is


def unproven(stage: str, what: str, failure: Failure) -> Unproven:
    """The end of a trial: `what` went wrong at the stage, and why."""
    missing = _MISSING_MODULE.search(failure.message)
    remedy = {"remedy": REMEDIES.get(failure.error_type, MEND)}
    if missing is not None:
        remedy = {"remedy": f"Add {missing[1].partition('.')[0]!r} to the package's requirements, then deploy again."}
    details = remedy | dict(failure.details) | {"error": failure.error_type}
    own = "" if failure.error_type in ("", *MEANINGS) else f"{failure.error_type}: "  # a word of the handler's
    return Unproven(stage, f"{what}: {own}{failure.message}", details=details)


def failure_of(job: Job) -> Failure:
    """Why a job has no result."""
    document = dict(job.failure or {})
    details = dict(document.get("details", {})) | {"job_id": job.id}
    return Failure(document.get("error_type", ""), document.get("message", ""), details)


def failure_reason(error: SeatrialError, chars_max: int = FAILURE_REASON_CHARS_MAX) -> str:
    """One line of at most `chars_max` characters (SageMaker's limit): the stage and what it said, the traceback's last
    lines, the remedy, and the line that reproduces it, which is never cut; the remedy only to make room for the others.
    """
    reproduce = _labelled("Reproduce", error.details.get("reproduce"))
    room = chars_max - len(reproduce) - SAID_CHARS_MIN
    remedy = _cut(_labelled("Remedy", error.details.get("remedy")), room)
    said = _cut(" ".join(_said(error)), chars_max - len(remedy) - len(reproduce))
    return (said + remedy + reproduce)[:chars_max]


def _said(error: SeatrialError) -> Iterator[str]:
    yield f"{error.error_type}: {error.message}"
    traceback = error.details.get("traceback")
    if isinstance(traceback, str) and traceback.strip():
        yield "Traceback: " + " | ".join(
            line.strip() for line in traceback.strip().splitlines()[-4:] if line != TRACEBACK_BEGINS
        )


def _labelled(label: str, text: Any) -> str:
    return f" {label}: {text}" if text else ""


def _cut(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else text[: max(chars_max - 1, 0)] + "…" * (chars_max > 0)
