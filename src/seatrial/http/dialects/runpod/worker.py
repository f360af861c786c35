"""RunPod's worker wire: what a job is when it is handed out, what a worker posts about it, and its environment.

From runpod/runpod-python 1.12 (`serverless/modules/rp_job.py`, `rp_http.py`, `rp_ping.py`). Bodies are JSON whatever
their Content-Type says (the SDK says it is a form).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.domain.errors import HANDLER_ERROR, OUTPUT_NOT_SERIALISABLE
from seatrial.domain.failures import Failure
from seatrial.domain.json_text import json_bytes, parse_answer_json
from seatrial.domain.limits import TRACEBACK_CHARS_MAX
from seatrial.http.dialects.runpod.requests import EXTRAS
from seatrial.http.dialects.runpod.status import HANDLER_ERROR as ERROR
from seatrial.http.dialects.runpod.status import HANDLER_OUTPUT as OUTPUT
from seatrial.http.dialects.runpod.status import IN_PROGRESS

PING_INTERVAL_MS = 5_000
_CLASS = re.compile(r"<class '([^']+)'>")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the handler is: JSON."""

    told: bytes


@dataclass(frozen=True, slots=True)
class Returned:
    """What the handler returned: JSON. `stops` when it asked for a fresh worker."""

    output: bytes
    stops: bool = False


def job_document(job_id: str, job_input: bytes, attributes: Mapping[str, str]) -> dict[str, Any]:
    """A job as a worker gets it, with what its request had beside the input."""
    extras = json.loads(attributes.get(EXTRAS, "{}"))
    return {**extras, "id": job_id, "input": json.loads(job_input)}


def read_done(body: bytes) -> Progress | Returned | Failure:
    """What a worker posted to job-done; a body that cannot be read is a failure of the job."""
    try:
        said = parse_answer_json(body)
    except ValueError as error:
        return Failure(OUTPUT_NOT_SERIALISABLE, f"The worker's answer is no JSON: {error}")
    if not isinstance(said, Mapping):
        return Failure(OUTPUT_NOT_SERIALISABLE, "The worker's answer is no JSON object.")
    if said.get("status") == IN_PROGRESS:
        return Progress(json_bytes(said.get("output")))
    if said.get("error"):
        return _failure(said["error"], said.get("output"))
    return Returned(json_bytes(said.get("output", {})), bool(said.get("stopPod")))


def read_chunk(body: bytes) -> bytes | None:
    """One chunk of a stream, as JSON; None: the body is none."""
    try:
        said = parse_answer_json(body)
    except ValueError:
        return None
    return json_bytes(said.get("output")) if isinstance(said, Mapping) else None


def _failure(error: Any, output: Any) -> Failure:
    """Of an exception the SDK posts a JSON text about it; everything else is the handler's own."""
    raised = _raised(error)
    if raised is not None:
        found = _CLASS.fullmatch(str(raised["error_type"]))
        details = {
            "exception": found[1] if found else str(raised["error_type"]),
            "traceback": str(raised.get("error_traceback", ""))[-TRACEBACK_CHARS_MAX:],
        }
        return Failure(HANDLER_ERROR, str(raised.get("error_message", "")), details)
    beside = output if isinstance(output, Mapping) else {}
    named = beside.get("error_type")
    message = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    details = {ERROR: error, **({OUTPUT: beside} if beside else {})}
    return Failure(named if isinstance(named, str) and named else HANDLER_ERROR, message, details)


def _raised(error: Any) -> Mapping[str, Any] | None:
    if not isinstance(error, str) or not error.startswith("{"):
        return None
    try:
        said = json.loads(error)
    except ValueError:
        return None
    return said if isinstance(said, dict) and {"error_type", "error_message"} <= said.keys() else None


def environment(endpoint: str) -> str:
    """Shell lines that make an unmodified worker pull the endpoint's jobs, with the variables of `seatrial env` set.

    In each URL the SDK itself puts ids in place of $ID and $RUNPOD_POD_ID, and adds to the query, which must be there.
    """
    base = f"$SEATRIAL_URL/v2/{endpoint}"
    return "\n".join(
        [
            'export RUNPOD_POD_ID="$(hostname)-$$"  # one of its own for each worker',
            'export RUNPOD_AI_API_KEY="$SEATRIAL_API_KEY"',
            f'export RUNPOD_ENDPOINT_ID="{endpoint}"',
            f'export RUNPOD_WEBHOOK_GET_JOB="{base}/job-take/\\$ID?from=seatrial"',
            f'export RUNPOD_WEBHOOK_POST_OUTPUT="{base}/job-done/\\$RUNPOD_POD_ID/\\$ID?from=seatrial"',
            f'export RUNPOD_WEBHOOK_POST_STREAM="{base}/job-stream/\\$RUNPOD_POD_ID/\\$ID?from=seatrial"',
            f'export RUNPOD_WEBHOOK_PING="{base}/ping/\\$RUNPOD_POD_ID"',
            f"export RUNPOD_PING_INTERVAL={PING_INTERVAL_MS}",
            "export RUNPOD_SKIP_AUTO_SYSTEM_CHECKS=true RUNPOD_SKIP_GPU_CHECK=true RUNPOD_LOG_LEVEL=INFO",
            "exec python -u handler.py",
        ]
    )
