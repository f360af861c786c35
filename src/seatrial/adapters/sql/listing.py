"""Pages of jobs, newest first."""

from __future__ import annotations

from sqlalchemy import Connection, Select, select

from seatrial.adapters.sql.job_rows import JobRow, to_job
from seatrial.adapters.sql.schema import jobs, word
from seatrial.domain.jobs import Job, JobFilter, JobState

_Page = Select[tuple[object, ...]]
_WITH_FAILURE = {JobState.FAILED, JobState.CANCELLED}


def list_jobs(connection: Connection, which: JobFilter) -> list[Job]:
    """A page. Each state is read by itself, because an index gives only those of one state in order."""
    page = _page(which)
    if which.before is not None:
        seq = connection.execute(select(jobs.c.seq).where(jobs.c.id == which.before)).scalar()
        if seq is None:
            return []
        page = page.where(jobs.c.seq < seq)
    states = which.states or (frozenset(JobState) if which.endpoint_name is not None else frozenset())
    rows: list[JobRow] = []
    if states:
        for state in states:
            rows.extend(connection.execute(_in_state(page, state)))
    else:
        rows.extend(connection.execute(page))
    rows.sort(key=lambda row: row.seq, reverse=True)
    return [to_job(row) for row in rows[: which.limit]]


def _in_state(page: _Page, state: JobState) -> _Page:
    page = page.where(jobs.c.state == word(state))
    # Those that did not succeed have an index of their own, which needs to be asked for in its words.
    return page.where(jobs.c.failure.is_not(None)) if state in _WITH_FAILURE else page


def _page(which: JobFilter) -> _Page:
    page = select(jobs).order_by(jobs.c.seq.desc()).limit(which.limit)
    if which.within is not None:
        page = page.where(jobs.c.endpoint_name.in_(sorted(which.within)))
    if which.endpoint_name is not None:
        page = page.where(jobs.c.endpoint_name == which.endpoint_name)
    if which.purpose is not None:
        page = page.where(jobs.c.purpose == which.purpose.value)
    if which.task is not None:
        page = page.where(jobs.c.task == which.task)
    return page
