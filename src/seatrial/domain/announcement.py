"""What is told of a job's end: one JSON document, the same whoever is told and however often."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from seatrial.domain.delivery import PROGRESS, QUEUED, STARTED, Delivery, DeliveryState, delivery_id
from seatrial.domain.jobs import Job, NewJob, Part


def announcement(job: Job) -> str:
    """`type`, `timestamp` and `data`, as Standard Webhooks proposes: `job.succeeded`, `job.failed`, `job.cancelled`."""
    data = {
        "job_id": job.id,
        "endpoint": job.endpoint_name,
        "task": job.task,
        "status": job.state.value,
        "attempt": job.attempt,
        "retry_of": job.retry_of,
        "attributes": job.shown_attributes,
        "submitted_at": _instant(job.submitted_at_ms),
        "started_at": _instant(job.started_at_ms),
        "ended_at": _instant(job.ended_at_ms),
        "result": job.output.result.uri if job.parts else None,
        "parts": [_part(part) for part in job.parts],
        "failure": None if job.parts else job.output.failure.uri,
        "error": None if job.failure is None else dict(job.failure),
    }
    document = {"type": f"job.{job.state}", "timestamp": data["ended_at"], "data": data}
    return json.dumps(document, ensure_ascii=False)


def queued_deliveries(job: Job | NewJob, now_ms: int) -> list[Delivery]:
    """What is told of a job that waits for a worker from now on."""
    return _deliveries(job, QUEUED, now_ms, {})


def started_deliveries(job: Job, now_ms: int) -> list[Delivery]:
    """What is told of a job that a worker has taken. It may be taken more than once."""
    return _deliveries(job, STARTED, now_ms, {"attempt": job.attempt})


def progress_deliveries(job: Job, told: bytes, now_ms: int) -> list[Delivery]:
    """What is told of how far a job is; `told`: JSON, as its handler said it."""
    return _deliveries(job, PROGRESS, now_ms, {"attempt": job.attempt, "progress": json.loads(told)})


def _deliveries(job: Job | NewJob, event: str, at_ms: int, more: dict[str, Any]) -> list[Delivery]:
    if not any(event in target.events for target in job.notify):
        return []
    data = {
        "job_id": job.id,
        "endpoint": job.endpoint_name,
        "task": job.task,
        "status": event if event == QUEUED else "running",
        "retry_of": job.retry_of,
        "attributes": job.shown_attributes,
        "submitted_at": _instant(job.submitted_at_ms),
        **more,
    }
    body = json.dumps({"type": f"job.{event}", "timestamp": _instant(at_ms), "data": data}, ensure_ascii=False)
    return [
        Delivery(
            id=f"{delivery_id(job.id, number)}_{event}_{at_ms}",
            job_id=job.id,
            endpoint_name=job.endpoint_name,
            target=target,
            event=event,
            body=body,
            state=DeliveryState.PENDING,
            tries=0,
            created_at_ms=at_ms,
            next_at_ms=at_ms,
        )
        for number, target in enumerate(job.notify, 1)
        if event in target.events
    ]


def _part(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "uri": part.object.uri,
        "media_type": part.media_type,
        "size_bytes": part.size_bytes,
        "sha256": part.sha256,
    }


def _instant(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
