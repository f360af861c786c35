"""Queue jobs whose input has come."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select, update

from seatrial.adapters.sql.ending import drop_uploads, end, failed
from seatrial.adapters.sql.job_rows import JobRow, to_job
from seatrial.adapters.sql.outbox_rows import post_deliveries
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs
from seatrial.domain.announcement import queued_deliveries
from seatrial.domain.commands import Arrive, Arrived, NoSuchJob
from seatrial.domain.jobs import JobEvent, JobState, after, rank_ms

_JOB = select(jobs).where(jobs.c.id == bindparam("job_id")).with_for_update(key_share=True)
_COLUMNS = (
    *("state", "rank_ms", "queue_deadline_ms", "expires_at_ms"),
    *("input_media_type", "input_bucket", "input_key", "input_etag", "input_inline"),
)
_QUEUE = update(jobs).where(jobs.c.seq == bindparam("at")).values({name: bindparam(name) for name in _COLUMNS})


def arrive(run: Run, commands: Sequence[Arrive]) -> list[Arrived | NoSuchJob]:
    """Each in turn."""
    return [_arrive(run, command) for command in commands]


def _arrive(run: Run, command: Arrive) -> Arrived | NoSuchJob:
    row = run.connection.execute(_JOB, {"job_id": command.job_id}).first()
    if row is None:
        return NoSuchJob()
    if row.state != JobState.AWAITING_UPLOAD:
        return Arrived(to_job(row), moved=False)
    if command.failure is not None:
        (job,) = end(run, [failed(row, command.failure, command.now_ms)])
        return Arrived(job)
    drop_uploads(run, [row.id])
    state = after(JobState.AWAITING_UPLOAD, JobEvent.ARRIVED)
    run.connection.execute(_QUEUE, {"at": row.seq, "state": state.value, **_values(row, command)})
    run.moved(row.endpoint_id, row.purpose, JobState.AWAITING_UPLOAD, state)
    queued = to_job(run.connection.execute(_JOB, {"job_id": command.job_id}).one())
    post_deliveries(run.connection, queued_deliveries(queued, command.now_ms))
    return Arrived(queued)


def _values(row: JobRow, command: Arrive) -> dict[str, object]:
    ref = command.input.ref
    deadline_ms = min(row.queue_deadline_ms, command.now_ms + command.queue_ttl_ms)
    return {
        "rank_ms": rank_ms(command.now_ms, row.priority),
        "queue_deadline_ms": deadline_ms,
        "expires_at_ms": min(deadline_ms, row.decide_by_ms),
        "input_media_type": command.input.media_type,
        "input_bucket": None if ref is None else ref.name.bucket,
        "input_key": None if ref is None else ref.name.key,
        "input_etag": None if ref is None else ref.etag,
        "input_inline": command.input.inline,
    }
