"""How an invocation ended: the error document of a function, and the tail of its log.

Error documents are those of AWS's Python runtime (aws/aws-lambda-python-runtime-interface-client, `make_error`) and,
for what ends a process, of the service itself ("Sandbox.Timedout", "Runtime.ExitError", "Runtime.OutOfMemory").
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

from seatrial.domain import errors
from seatrial.domain.jobs import Job
from seatrial.domain.limits import LAMBDA_LOG_TAIL_BYTES, LAMBDA_PAYLOAD_BYTES_MAX
from seatrial.http.dialects.aws_lambda.names import LATEST

UNHANDLED = "Unhandled"
_MIB = 1_048_576


def function_error(job: Job) -> dict[str, Any]:
    """The payload of an invocation that ended without a result."""
    failure = job.failure or {}
    kind, message = failure.get("error_type", errors.CANCELLED), str(failure.get("message", ""))
    details = failure.get("details") or {}
    about = f"RequestId: {job.id} Error: "
    if kind == errors.INVOCATION_TIMEOUT:
        return {"errorType": "Sandbox.Timedout", "errorMessage": about + timed_out(job)}
    if kind == errors.OUT_OF_MEMORY:
        return {"errorType": "Runtime.OutOfMemory", "errorMessage": about + message}
    if kind == errors.WORKER_CRASHED:
        return {"errorType": "Runtime.ExitError", "errorMessage": about + message}
    raised = details.get("exception")
    return {
        "errorMessage": message,
        "errorType": str(raised).rpartition(".")[2] if raised and kind == errors.HANDLER_ERROR else kind,
        "requestId": job.id,
        "stackTrace": str(details.get("traceback", "")).splitlines(keepends=True),
    }


def timed_out(job: Job) -> str:
    """AWS's words for a function that ran too long."""
    return f"Task timed out after {job.invocation_timeout_ms / 1000:.2f} seconds"


def too_large(job: Job, size_bytes: int) -> dict[str, Any]:
    """The payload of an invocation whose result does not fit into an answer; it is published all the same."""
    message = (
        f"Response payload size ({size_bytes} bytes) exceeded maximum allowed payload size "
        f"({LAMBDA_PAYLOAD_BYTES_MAX} bytes). The result is at {job.output.result.uri}."
    )
    return {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}


def gone(job: Job) -> dict[str, Any]:
    """The payload of an invocation whose result was deleted, or replaced, before it could be sent."""
    message = f"The result {job.output.result.uri} was deleted or replaced before it could be sent."
    return {"errorType": "Function.ResultGone", "errorMessage": message}


def log_result(job: Job, lines: Sequence[str]) -> str:
    """The X-Amz-Log-Result: the last 4 KiB of the invocation's log, in base64.

    Workers of the layout aws_lambda write the lines START, END and REPORT themselves; whatever is missing is added.
    """
    text = list(lines)
    start, end, report = f"START RequestId: {job.id}", f"END RequestId: {job.id}", f"REPORT RequestId: {job.id}"
    if not any(line.startswith(start) for line in text):
        text.insert(0, f"{start} Version: {LATEST}")
    is_late = (job.failure or {}).get("error_type") == errors.INVOCATION_TIMEOUT
    if is_late and not any(timed_out(job) in line for line in text):
        text.append(f"{job.id} {timed_out(job)}")
    if not any(line.startswith(end) for line in text):
        text.append(end)
    if not any(line.startswith(report) for line in text):
        text.append(f"{report}\t{_measured(job)}")
    whole = "".join(f"{line}\n" for line in text).encode()
    return base64.b64encode(whole[-LAMBDA_LOG_TAIL_BYTES:]).decode()


def _measured(job: Job) -> str:
    took_ms = 0 if job.started_at_ms is None or job.ended_at_ms is None else job.ended_at_ms - job.started_at_ms
    words = [f"Duration: {took_ms:.2f} ms", f"Billed Duration: {took_ms} ms"]
    if job.memory is not None:
        words.append(f"Max Memory Used: {math.ceil(job.memory.peak_bytes / _MIB)} MB")
    return "\t".join(words)
