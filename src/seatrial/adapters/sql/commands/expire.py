"""End queued jobs that will not be served."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from seatrial.adapters.sql.ending import cancelled, end, failed
from seatrial.adapters.sql.job_rows import JobRow
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs, word
from seatrial.domain.commands import CancelQueued, Expire, Expired, FailQueued
from seatrial.domain.errors import DEADLINE_EXCEEDED, QUEUE_TTL_EXPIRED
from seatrial.domain.failures import Failure
from seatrial.domain.jobs import JobPurpose, JobState

_queued = jobs.c.state == word(JobState.QUEUED)
_DUE = (
    select(jobs)
    .where(_queued, jobs.c.expires_at_ms <= bindparam("now_ms"))
    .order_by(jobs.c.expires_at_ms)
    .limit(bindparam("most"))
    .with_for_update(key_share=True, skip_locked=True)  # whoever holds one of them decides it, or the next round does
)
_OF_ENDPOINT = (
    select(jobs)
    .where(_queued, jobs.c.endpoint_id == bindparam("endpoint_id"))
    .limit(bindparam("most"))
    .with_for_update(key_share=True)
)
_OF_CLIENTS = _OF_ENDPOINT.where(jobs.c.purpose == word(JobPurpose.CLIENT))
_OF_VERSION = _OF_ENDPOINT.where(jobs.c.version_id == bindparam("version_id"))


def expire(run: Run, commands: Sequence[Expire]) -> list[Expired]:
    """Each in turn."""
    return [_expire(run, command) for command in commands]


def fail_queued(run: Run, commands: Sequence[FailQueued]) -> list[Expired]:
    """Each in turn."""
    return [_fail(run, command) for command in commands]


def cancel_queued(run: Run, commands: Sequence[CancelQueued]) -> list[Expired]:
    """Each in turn."""
    return [_cancel(run, command) for command in commands]


def _cancel(run: Run, command: CancelQueued) -> Expired:
    where = {"endpoint_id": command.endpoint_id, "most": command.limit}
    rows = run.connection.execute(_OF_CLIENTS, where).all()
    return Expired(tuple(end(run, [cancelled(row, command.now_ms) for row in rows])))


def _expire(run: Run, command: Expire) -> Expired:
    rows = run.connection.execute(_DUE, {"now_ms": command.now_ms, "most": command.limit}).all()
    endings = [failed(row, _too_late(row, command.now_ms), command.now_ms) for row in rows]
    return Expired(tuple(end(run, endings)))


def _fail(run: Run, command: FailQueued) -> Expired:
    where = {"endpoint_id": command.endpoint_id, "most": command.limit}
    if command.version_id is None:
        rows = run.connection.execute(_OF_ENDPOINT, where).all()
    else:
        rows = run.connection.execute(_OF_VERSION, where | {"version_id": command.version_id}).all()
    return Expired(tuple(end(run, [failed(row, command.failure, command.now_ms) for row in rows])))


def _too_late(row: JobRow, now_ms: int) -> Failure:
    if row.decide_by_ms <= now_ms:
        lost = f"; none of its {row.attempt} attempts had come to an end" if row.attempt else ""
        return Failure(DEADLINE_EXCEEDED, f"The job's deadline passed while it was waiting for a worker{lost}.")
    seconds = (row.queue_deadline_ms - row.submitted_at_ms) / 1000
    return Failure(QUEUE_TTL_EXPIRED, f"No worker began with the job within its {seconds:g} seconds in the queue.")
