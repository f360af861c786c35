"""Remove what has been kept long enough."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, or_, select

from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import idempotency_keys, jobs
from seatrial.domain.commands import ForgetKeys, Forgotten

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
)
_REMOVE_KEYS = delete(idempotency_keys).where(idempotency_keys.c.key.in_(bindparam("keys", expanding=True)))


def forget_keys(run: Run, commands: Sequence[ForgetKeys]) -> list[Forgotten]:
    """Each in turn."""
    return [_forget_keys(run, command) for command in commands]


def _forget_keys(run: Run, command: ForgetKeys) -> Forgotten:
    keys = (
        run.connection.execute(_OLD_KEYS, {"until_ms": command.ended_until_ms, "most": command.limit}).scalars().all()
    )
    if keys:
        run.connection.execute(_REMOVE_KEYS, {"keys": keys})
    return Forgotten(len(keys))
