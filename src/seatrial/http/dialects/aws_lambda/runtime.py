"""Lambda's Runtime API, version 2018-06-01: what an invocation is when it is handed out, and what is posted about it.

From AWS's "Lambda runtime API" and aws/aws-lambda-python-runtime-interface-client 4.2 (`lambda_runtime_client.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from seatrial.domain.errors import HANDLER_ERROR, OUTPUT_NOT_SERIALISABLE
from seatrial.domain.failures import Failure
from seatrial.domain.json_text import parse_answer_json
from seatrial.domain.limits import TRACEBACK_CHARS_MAX

VERSION = "/2018-06-01/runtime"
NEXT = f"{VERSION}/invocation/next"
INIT_ERROR = f"{VERSION}/init/error"
ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
REQUEST_ID = "Lambda-Runtime-Aws-Request-Id"
_MARSHAL_ERROR = "Runtime.MarshalError"


def next_headers(request_id: str, deadline_ms: int, extras: Mapping[str, Any], function_arn: str) -> dict[str, str]:
    """The headers of an invocation that is handed out; its body is the event. `deadline_ms` is since the epoch."""
    headers = {
        REQUEST_ID: request_id,
        "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
        "Lambda-Runtime-Invoked-Function-Arn": str(extras.get("function_arn", function_arn)),
        "Content-Type": "application/json",
    }
    if "trace_id" in extras:
        headers["Lambda-Runtime-Trace-Id"] = str(extras["trace_id"])
    if "client_context" in extras:
        headers["Lambda-Runtime-Client-Context"] = json.dumps(extras["client_context"])
    return headers


def read_error(body: bytes, kind: str | None) -> Failure:
    """What a runtime posted to `error`; `kind` is the header's. Whatever cannot be read is told as it came."""
    try:
        said = parse_answer_json(body)
    except ValueError:
        said = body.decode(errors="replace")
    document: Mapping[str, Any] = said if isinstance(said, Mapping) else {"errorMessage": str(said)}
    raised = str(document.get("errorType") or kind or "Error")
    trace = document.get("stackTrace") or []
    lines = "".join(map(str, trace)) if isinstance(trace, list) else str(trace)
    details = {"exception": raised, "traceback": lines[-TRACEBACK_CHARS_MAX:]}
    error_type = OUTPUT_NOT_SERIALISABLE if raised == _MARSHAL_ERROR else HANDLER_ERROR
    return Failure(error_type, str(document.get("errorMessage", "")), details)


def error_document(kind: str, message: str) -> dict[str, str]:
    """The body of an answer of the Runtime API that is no 2xx."""
    return {"errorMessage": message, "errorType": kind}


def accepted() -> dict[str, str]:
    """The body of an answer to what was posted."""
    return {"status": "OK"}
