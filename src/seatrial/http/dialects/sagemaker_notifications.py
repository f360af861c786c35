"""What SageMaker's asynchronous inference publishes to the topics of an endpoint.

Source: "Check prediction results" in SageMaker's developer guide, and receivers in the wild. Where these differ on how
a failure names its object (`failureLocation`, or `outputLocation` of the response), both are there.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

from seatrial.domain.jobs import Job, JobState
from seatrial.http.dialects.sagemaker_runtime import INFERENCE_ID


def message(job: Job, region: str, answer: bytes | None) -> str:
    """The message of an ended job. `answer`: the result or the failure document, to be told along."""
    succeeded = job.state is JobState.SUCCEEDED
    document: dict[str, Any] = {
        "awsRegion": region,
        "eventTime": _instant(job.ended_at_ms or 0),
        "receivedTime": _instant(job.submitted_at_ms),
        "invocationStatus": "Completed" if succeeded else "Failed",
        "requestParameters": _request(job),
        **(_completed(job) if succeeded else _failed(job)),
        "inferenceId": job.attributes.get(INFERENCE_ID, job.id),
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    if answer is not None:
        document["responseBody"] = {"content": base64.b64encode(answer).decode(), "encoding": "BASE64"}
    return json.dumps(document, ensure_ascii=False)


def _request(job: Job) -> dict[str, str]:
    told = {"accept": job.accept, "contentType": job.input.media_type, "endpointName": job.endpoint_name}
    return told if job.input.ref is None else {**told, "inputLocation": job.input.ref.name.uri}


def _completed(job: Job) -> dict[str, Any]:
    primary = next(part for part in job.parts if part.name == "result")
    return {"responseParameters": {"contentType": primary.media_type, "outputLocation": primary.object.uri}}


def _failed(job: Job) -> dict[str, Any]:
    failure = job.failure or {}
    where = job.output.failure.uri
    return {
        "failureReason": str(failure.get("message", "")),
        "failureLocation": where,
        "responseParameters": {"contentType": "application/json", "outputLocation": where},
    }


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
