"""Remove what has been kept long enough."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, exists, or_, select

from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import deliveries, idempotency_keys, jobs
from seatrial.domain.commands import ForgetJobs, ForgetKeys, Forgotten
from seatrial.domain.jobs import JobState

# A key is older than its job's end: those made later need no look at their job.
_OLD_KEYS = (
    select(idempotency_keys.c.key)
    .outerjoin(jobs, jobs.c.id == idempotency_keys.c.job_id)
    .where(
        idempotency_keys.c.created_at_ms <= bindparam("until_ms"),
        or_(jobs.c.id.is_(None), jobs.c.ended_at_ms <= bindparam("until_ms")),
    )
    .order_by(idempotency_keys.c.created_at_ms)
    .limit(bindparam("most"))
    .with_for_update(of=idempotency_keys, skip_locked=True)  # one that is used again meanwhile is not removed
)
_REMOVE_KEYS = delete(idempotency_keys).where(idempotency_keys.c.key.in_(bindparam("keys", expanding=True)))
_TO_BE_TOLD = exists().where(deliveries.c.job_id == jobs.c.id, deliveries.c.next_at_ms.is_not(None))
_ENDED = [jobs.c.ended_at_ms.is_not(None), jobs.c.ended_at_ms <= bindparam("until_ms"), ~_TO_BE_TOLD]
_OLD_JOBS = select(jobs.c.id).where(*_ENDED).order_by(jobs.c.ended_at_ms).limit(bindparam("most"))
_FORGETTABLE = (
    select(jobs.c.seq, jobs.c.endpoint_id, jobs.c.purpose, jobs.c.state)
    .where(jobs.c.id.in_(bindparam("ids", expanding=True)), *_ENDED)
    .order_by(jobs.c.id)
    .with_for_update()
)
_REMOVE_JOBS = delete(jobs).where(jobs.c.seq.in_(bindparam("seqs", expanding=True)))
_INPUTS = select(jobs.c.input_key).where(
    jobs.c.input_bucket == bindparam("bucket"),
    jobs.c.input_key.is_not(None),
    jobs.c.input_key.in_(bindparam("keys", expanding=True)),
)


def forget_keys(run: Run, commands: Sequence[ForgetKeys]) -> list[Forgotten]:
    """Each in turn."""
    return [_forget_keys(run, command) for command in commands]


def forget_jobs(run: Run, commands: Sequence[ForgetJobs]) -> list[Forgotten]:
    """Each in turn."""
    return [_forget_jobs(run, command) for command in commands]


def ended_until(connection: Connection, until_ms: int, limit: int) -> list[str]:
    """Ids of jobs that can be forgotten, those that ended first before the others."""
    return list(connection.execute(_OLD_JOBS, {"until_ms": until_ms, "most": limit}).scalars())


def inputs_named(connection: Connection, bucket: str, keys: Sequence[str]) -> set[str]:
    """Those of the keys that are the input of a job which is still kept."""
    return set(connection.execute(_INPUTS, {"bucket": bucket, "keys": keys}).scalars())


def _forget_jobs(run: Run, command: ForgetJobs) -> Forgotten:
    which = {"ids": command.job_ids, "until_ms": command.ended_until_ms}
    rows = run.connection.execute(_FORGETTABLE, which).all()
    if rows:
        run.connection.execute(_REMOVE_JOBS, {"seqs": [row.seq for row in rows]})
    for row in rows:
        run.left(row.endpoint_id, row.purpose, JobState(row.state))
    return Forgotten(len(rows))


def _forget_keys(run: Run, command: ForgetKeys) -> Forgotten:
    keys = (
        run.connection.execute(_OLD_KEYS, {"until_ms": command.ended_until_ms, "most": command.limit}).scalars().all()
    )
    if keys:
        run.connection.execute(_REMOVE_KEYS, {"keys": keys})
    return Forgotten(len(keys))
