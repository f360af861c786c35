"""Cancel jobs, or note the wish."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select, update

from seatrial.adapters.sql.deciding import read_decision
from seatrial.adapters.sql.ending import cancelled, end
from seatrial.adapters.sql.job_rows import JobRow, to_job
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs
from seatrial.domain.commands import Cancel, CancelAccepted, CancelRefused, NoSuchJob, Outcome
from seatrial.domain.jobs import JobState

_JOB = select(jobs).where(jobs.c.id == bindparam("job_id")).with_for_update(key_share=True)
_NOTE = update(jobs).where(jobs.c.seq == bindparam("at")).values(cancel_requested=True)


def cancel(run: Run, commands: Sequence[Cancel]) -> list[CancelAccepted | CancelRefused | NoSuchJob]:
    """Each in turn."""
    return [_cancel(run, command) for command in commands]


def _decided_by(run: Run, row: JobRow, command: Cancel) -> bool:
    publication = None if row.state != JobState.PUBLISHING else read_decision(run.connection, row)
    within_ms = run.publish_within_ms or 0
    return (
        publication is not None
        and publication.outcome is Outcome.CANCELLED
        and row.publish_by_ms == command.now_ms + within_ms
    )


def _cancel(run: Run, command: Cancel) -> CancelAccepted | CancelRefused | NoSuchJob:
    row = run.connection.execute(_JOB, {"job_id": command.job_id}).first()
    if row is None:
        return NoSuchJob()
    state = JobState(row.state)
    if state in (JobState.QUEUED, JobState.AWAITING_UPLOAD):
        (job,) = end(run, [cancelled(row, command.now_ms)])
        return CancelAccepted(job)
    if state is JobState.RUNNING:
        run.connection.execute(_NOTE, {"at": row.seq})
        return CancelAccepted(to_job(row, {"cancel_requested": True}), row.session, row.token)
    if (row.state == JobState.CANCELLED and row.ended_at_ms == command.now_ms) or _decided_by(run, row, command):
        return CancelAccepted(to_job(row))  # this very command, repeated after an unknown commit
    return CancelRefused(state)
