"""The lines of log that AWS Lambda writes when the process of a function is gone before the function has ended.

Of a function that ends by itself its worker writes them: `worker/handlers/aws_lambda.py`.
"""

from __future__ import annotations

import math

LAYOUT = "aws_lambda"


def lines_of_a_death(job_id: str, took_ms: float, timeout_seconds: float | None) -> list[str]:
    """Words as at AWS. `timeout_seconds` None: its time was not up."""
    if timeout_seconds is None:
        said, status = f"RequestId: {job_id} Error: Runtime exited", "error"
    else:
        said, status = f"{job_id} Task timed out after {timeout_seconds:.2f} seconds", "timeout"
    measured = f"Duration: {took_ms:.2f} ms\tBilled Duration: {math.ceil(took_ms)} ms\tStatus: {status}"
    return [said, f"END RequestId: {job_id}", f"REPORT RequestId: {job_id}\t{measured}"]
