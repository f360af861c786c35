"""Jobs as rows: one place that knows which column holds what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from seatrial.domain.commands import StagedPart
from seatrial.domain.delivery import Target, TargetKind
from seatrial.domain.jobs import Job, JobInput, JobPurpose, JobState, NewJob, OutputPlan, Part, rank_ms
from seatrial.domain.memory import MemoryUse
from seatrial.domain.objects import ObjectName, ObjectRef

JobRow = Row[Any]
MEMORY_COLUMNS = ("memory_peak_bytes", "memory_growth_bytes", "device_peak_bytes")

# The columns that a new job sets.
NEW_COLUMNS = (
    "id",
    "owner",
    "endpoint_id",
    "endpoint_name",
    "version_id",
    "purpose",
    "door",
    "task",
    "state",
    "priority",
    "affinity",
    "rank_ms",
    "device_group",
    "exclusive",
    "attempt",
    "deaths",
    "accept",
    "attributes",
    "submitted_at_ms",
    "queue_deadline_ms",
    "invocation_timeout_ms",
    "decide_by_ms",
    "expires_at_ms",
    "retry_of",
    "result_bucket",
    "result_key",
    "failure_bucket",
    "failure_key",
    "cancel_requested",
    "input_media_type",
    "input_bucket",
    "input_key",
    "input_etag",
    "input_inline",
    "name_chosen",
    "notify",
)


def new_values(job: NewJob) -> dict[str, Any]:
    """The row of an accepted job, without `seq`."""
    ref = job.input.ref
    queue_deadline_ms = (job.upload_by_ms or job.submitted_at_ms) + job.queue_ttl_ms
    state = JobState.QUEUED if job.upload is None else JobState.AWAITING_UPLOAD
    return {
        "id": job.id,
        "owner": job.owner,
        "endpoint_id": job.endpoint_id,
        "endpoint_name": job.endpoint_name,
        "version_id": job.version_id,
        "purpose": job.purpose.value,
        "door": job.door,
        "task": job.task,
        "state": state.value,
        "priority": job.priority,
        "affinity": job.affinity,
        "rank_ms": rank_ms(job.submitted_at_ms, job.priority),
        "device_group": job.device_group,
        "exclusive": job.exclusive,
        "attempt": 0,
        "deaths": 0,
        "accept": job.accept,
        "attributes": dict(job.attributes),
        "submitted_at_ms": job.submitted_at_ms,
        "queue_deadline_ms": queue_deadline_ms,
        "invocation_timeout_ms": job.invocation_timeout_ms,
        "decide_by_ms": job.decide_by_ms,
        "expires_at_ms": job.upload_by_ms or min(queue_deadline_ms, job.decide_by_ms),
        "retry_of": job.retry_of,
        "result_bucket": job.output.result.bucket,
        "result_key": job.output.result.key,
        "failure_bucket": job.output.failure.bucket,
        "failure_key": job.output.failure.key,
        "cancel_requested": False,
        "input_media_type": job.input.media_type,
        "input_bucket": None if ref is None else ref.name.bucket,
        "input_key": None if ref is None else ref.name.key,
        "input_etag": None if ref is None else ref.etag,
        "input_inline": job.input.inline,
        "name_chosen": job.name_chosen,
        "notify": [target_values(target) for target in job.notify] or None,
    }


def to_job(row: JobRow, changes: Mapping[str, Any] | None = None) -> Job:
    """The job of a row, with the fields of `changes` instead of the row's."""
    values = {
        "id": row.id,
        "owner": row.owner,
        "endpoint_id": row.endpoint_id,
        "endpoint_name": row.endpoint_name,
        "version_id": row.version_id,
        "purpose": JobPurpose(row.purpose),
        "door": row.door,
        "task": row.task,
        "state": JobState(row.state),
        "priority": row.priority,
        "attempt": row.attempt,
        "deaths": row.deaths,
        "input": _input(row),
        "output": output_plan(row),
        "accept": row.accept,
        "attributes": row.attributes,
        "submitted_at_ms": row.submitted_at_ms,
        "queue_deadline_ms": row.queue_deadline_ms,
        "invocation_timeout_ms": row.invocation_timeout_ms,
        "decide_by_ms": row.decide_by_ms,
        "upload_by_ms": row.expires_at_ms if row.state == JobState.AWAITING_UPLOAD else None,
        "started_at_ms": row.started_at_ms,
        "taken_by": row.taken_by,
        "ended_at_ms": row.ended_at_ms,
        "cancel_requested": row.cancel_requested,
        "stop_confirmed": not row.presumed,
        "parts": tuple(_part(values) for values in row.parts or ()),
        "failure": row.failure,
        "memory": memory_of(row),
        "suspect": row.suspect,
        "retry_of": row.retry_of,
        "affinity": row.affinity,
        "exclusive": row.exclusive,
        "publish_by_ms": row.publish_by_ms,
        "superseded_by": row.superseded_by,
        "notify": targets_of(row),
    }
    if changes is not None:
        values.update(changes)
    return Job(**values)


def memory_values(memory: MemoryUse | None) -> dict[str, int | None]:
    """The columns of a job's memory."""
    if memory is None:
        return dict.fromkeys(MEMORY_COLUMNS)
    values = (memory.peak_bytes, memory.growth_bytes, memory.device_peak_bytes)
    return dict(zip(MEMORY_COLUMNS, values, strict=True))


def memory_of(row: JobRow) -> MemoryUse | None:
    """What those columns hold."""
    if row.memory_peak_bytes is None:
        return None
    return MemoryUse(row.memory_peak_bytes, row.memory_growth_bytes, row.device_peak_bytes)


def output_plan(row: JobRow) -> OutputPlan:
    """Where the job's outcome will be visible."""
    return OutputPlan(ObjectName(row.result_bucket, row.result_key), ObjectName(row.failure_bucket, row.failure_key))


def visible_part(staged: StagedPart) -> Part:
    """A staged part once it has its name."""
    sealed = staged.sealed
    return Part(staged.name, staged.object, sealed.size_bytes, sealed.sha256, staged.media_type)


def part_values(part: Part) -> dict[str, Any]:
    """A part as JSON."""
    return {
        "name": part.name,
        "bucket": part.object.bucket,
        "key": part.object.key,
        "size_bytes": part.size_bytes,
        "sha256": part.sha256,
        "media_type": part.media_type,
    }


def target_values(target: Target) -> dict[str, Any]:
    """Somebody to be told, as JSON."""
    values = {"kind": target.kind.value, "address": target.address, "events": sorted(target.events)}
    more = {"inline": target.inline or None, "webhook": target.webhook}
    return values | {name: value for name, value in more.items() if value is not None}


def read_target(values: Mapping[str, Any]) -> Target:
    """The same, back."""
    return Target(
        TargetKind(values["kind"]),
        values["address"],
        frozenset(values["events"]),
        values.get("inline", False),
        values.get("webhook"),
    )


def targets_of(row: JobRow) -> tuple[Target, ...]:
    """Who is to be told of the job's end."""
    return tuple(read_target(values) for values in row.notify or ())


def _part(values: Mapping[str, Any]) -> Part:
    name = ObjectName(values["bucket"], values["key"])
    return Part(values["name"], name, values["size_bytes"], values["sha256"], values["media_type"])


def _input(row: JobRow) -> JobInput:
    if row.input_key is None:
        return JobInput(row.input_media_type, inline=row.input_inline)
    return JobInput(row.input_media_type, ref=ObjectRef(ObjectName(row.input_bucket, row.input_key), row.input_etag))
