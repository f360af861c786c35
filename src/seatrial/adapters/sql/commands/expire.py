"""End queued jobs that will not be served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, bindparam, select

from seatrial.adapters.sql.ending import cancelled, end, failed
from seatrial.adapters.sql.job_rows import JobRow
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs, word
from seatrial.domain.commands import CancelQueued, Expire, Expired, FailQueued
from seatrial.domain.errors import DEADLINE_EXCEEDED, QUEUE_TTL_EXPIRED, UPLOAD_EXPIRED
from seatrial.domain.failures import Failure
from seatrial.domain.jobs import JobPurpose, JobState

_STATES = (JobState.QUEUED, JobState.AWAITING_UPLOAD)  # each has an index of its own
_DUE = [
    select(jobs)
    .where(jobs.c.state == word(state), jobs.c.expires_at_ms <= bindparam("now_ms"))
    .order_by(jobs.c.expires_at_ms)
    .limit(bindparam("most"))
    .with_for_update(key_share=True, skip_locked=True)  # whoever holds one of them decides it, or the next round does
    for state in _STATES
]
_OF_ENDPOINT = [
    select(jobs)
    .where(jobs.c.state == word(state), jobs.c.endpoint_id == bindparam("endpoint_id"))
    .limit(bindparam("most"))
    .with_for_update(key_share=True)
    for state in _STATES
]
_OF_CLIENTS = [one.where(jobs.c.purpose == word(JobPurpose.CLIENT)) for one in _OF_ENDPOINT]
_OF_VERSION = [one.where(jobs.c.version_id == bindparam("version_id")) for one in _OF_ENDPOINT]


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
    rows = _some(run, _OF_CLIENTS, where)
    return Expired(tuple(end(run, [cancelled(row, command.now_ms) for row in rows])))


def _expire(run: Run, command: Expire) -> Expired:
    rows = _some(run, _DUE, {"now_ms": command.now_ms, "most": command.limit})
    endings = [failed(row, _too_late(row, command.now_ms), command.now_ms) for row in rows]
    return Expired(tuple(end(run, endings)))


def _fail(run: Run, command: FailQueued) -> Expired:
    where = {"endpoint_id": command.endpoint_id, "most": command.limit}
    if command.version_id is None:
        rows = _some(run, _OF_ENDPOINT, where)
    else:
        rows = _some(run, _OF_VERSION, where | {"version_id": command.version_id})
    return Expired(tuple(end(run, [failed(row, command.failure, command.now_ms) for row in rows])))


def _some(run: Run, queries: Sequence[Select[Any]], where: dict[str, Any]) -> list[JobRow]:
    """What the queries find, one after the other, together at most `most`."""
    found: list[JobRow] = []
    for query in queries:
        left = where["most"] - len(found)
        if left > 0:
            found += run.connection.execute(query, where | {"most": left}).all()
    return found


def _too_late(row: JobRow, now_ms: int) -> Failure:
    if row.state == JobState.AWAITING_UPLOAD:
        seconds = (row.expires_at_ms - row.submitted_at_ms) / 1000
        uri = f"s3://{row.input_bucket}/{row.input_key}"
        return Failure(UPLOAD_EXPIRED, f"Nothing was uploaded to {uri} within the {seconds:g} seconds for it.")
    if row.decide_by_ms <= now_ms:
        lost = f"; none of its {row.attempt} attempts had come to an end" if row.attempt else ""
        return Failure(DEADLINE_EXCEEDED, f"The job's deadline passed while it was waiting for a worker{lost}.")
    seconds = (row.queue_deadline_ms - row.submitted_at_ms) / 1000
    return Failure(QUEUE_TTL_EXPIRED, f"No worker began with the job within its {seconds:g} seconds in the queue.")
