"""What waits and runs, of all endpoints at once."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, select

from seatrial.adapters.sql.schema import endpoints, job_counts, jobs
from seatrial.domain.jobs import Backlog, JobPurpose, JobState

_WAITING = (JobState.QUEUED.value, JobState.RUNNING.value)
_BACKLOGS = (
    select(endpoints.c.id, endpoints.c.name, job_counts.c.state, job_counts.c.count)
    .join(job_counts, job_counts.c.endpoint_id == endpoints.c.id)
    .where(job_counts.c.state.in_(_WAITING), job_counts.c.count > 0)
)
_FIRST = (  # the first of an index, however many there are
    select(jobs.c.submitted_at_ms)
    .where(
        jobs.c.endpoint_name == bindparam("name"),
        jobs.c.state == bindparam("in_state"),
        jobs.c.endpoint_id == bindparam("endpoint_id"),
        jobs.c.purpose == JobPurpose.CLIENT.value,
    )
    .order_by(jobs.c.seq)
    .limit(1)
)


def read_backlogs(connection: Connection) -> Mapping[str, Backlog]:
    """Backlogs by endpoint id; those with nothing are absent."""
    found: dict[str, Backlog] = {}
    for endpoint_id, name, state, count in connection.execute(_BACKLOGS).all():
        before = found.get(endpoint_id, Backlog())
        first = connection.scalar(_FIRST, {"name": name, "in_state": state, "endpoint_id": endpoint_id})
        oldest = min((one for one in (first, before.oldest_ms) if one is not None), default=None)
        is_queued = state == JobState.QUEUED.value
        found[endpoint_id] = Backlog(
            count if is_queued else before.queued, before.running if is_queued else count, oldest
        )
    return found
