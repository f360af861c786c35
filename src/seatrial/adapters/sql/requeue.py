"""Puts running jobs back into the queue, where they stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, null, update

from seatrial.adapters.sql.job_rows import JobRow
from seatrial.adapters.sql.prepared import Prepared
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs
from seatrial.domain.jobs import JobEvent, JobState, after

_REQUEUE = Prepared(
    update(jobs)
    .where(jobs.c.seq == bindparam("at"))
    .values(
        {name: bindparam(name) for name in ("state", "attempt", "deaths", "excused", "suspect", "expires_at_ms")}
        | {"token": null(), "session": null(), "started_at_ms": null()}
    )
)


@dataclass(frozen=True, slots=True)
class Return:
    """One job on its way back. An attempt that never began is not counted, one that we broke off is `excused`."""

    row: JobRow
    begun: bool
    died: bool = False
    excused: bool = False
    suspect: bool = False


def requeue(run: Run, returns: Sequence[Return]) -> None:
    """Queue the jobs again; whose cancel was wished is not handed out any more and ends with the next expiry."""
    if returns:
        _REQUEUE.run(run.connection, [_values(one) for one in returns])
    for one in returns:
        run.moved(one.row.endpoint_id, one.row.purpose, JobState(one.row.state), JobState.QUEUED)


def _values(one: Return) -> dict[str, Any]:
    row = one.row
    attempt = row.attempt if one.begun else row.attempt - 1
    # The queue's TTL is for jobs that nobody has begun with; the others have until decide_by.
    deadline_ms = row.decide_by_ms if attempt else min(row.queue_deadline_ms, row.decide_by_ms)
    return {
        "at": row.seq,
        "state": after(JobState(row.state), JobEvent.RELEASED).value,
        "attempt": attempt,
        "deaths": row.deaths + one.died,
        "excused": row.excused + one.excused,
        "suspect": row.suspect or one.suspect,
        "expires_at_ms": 0 if row.cancel_requested else deadline_ms,
    }
