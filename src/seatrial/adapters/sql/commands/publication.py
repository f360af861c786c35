"""Commit what has become visible, or give a publication up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import bindparam, select

from seatrial.adapters.sql.concluding import Conclusion, conclude
from seatrial.adapters.sql.deciding import drop_decision, read_decision, replace_decision
from seatrial.adapters.sql.ending import document_of, ended_state, not_shown
from seatrial.adapters.sql.job_rows import JobRow, memory_of, to_job, visible_part
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs
from seatrial.domain.commands import (
    Finished,
    GivenUp,
    GiveUp,
    Noted,
    Outcome,
    Publication,
    Published,
    Stale,
    Withdrawn,
)
from seatrial.domain.jobs import TERMINAL, JobState

_JOB = select(jobs).where(jobs.c.id == bindparam("job_id")).with_for_update(key_share=True)


def published(run: Run, commands: Sequence[Published]) -> list[Finished | Stale]:
    """Each in turn."""
    return [_published(run, command) for command in commands]


def give_up(run: Run, commands: Sequence[GiveUp]) -> list[GivenUp | Stale]:
    """Each in turn."""
    return [_give_up(run, command) for command in commands]


def withdrawn(run: Run, commands: Sequence[Withdrawn]) -> list[Noted]:
    """All of them; a decision that is still to be published stays."""
    for command in commands:
        row = run.connection.execute(_JOB, {"job_id": command.job_id}).first()
        if row is None or row.state in TERMINAL:
            drop_decision(run.connection, command.job_id)
    return [Noted()] * len(commands)


def _published(run: Run, command: Published) -> Finished | Stale:
    row = run.connection.execute(_JOB, {"job_id": command.job_id}).first()
    if row is not None and row.state in TERMINAL:
        return Finished(to_job(row), repeated=True)
    publication = None if row is None else read_decision(run.connection, row)
    if row is None or publication is None or publication.outcome is not command.outcome:
        return Stale()
    (job,) = conclude(run, [_conclusion(row, publication, command)])
    if command.not_published is None or not publication.parts:
        drop_decision(run.connection, row.id)  # else parts of it may show: they are withdrawn when that is possible
    return Finished(job, superseded=run.superseded.get(job.id, ()))


def _conclusion(row: JobRow, publication: Publication, command: Published) -> Conclusion:
    failure = publication.failure
    if failure is not None and command.not_published is not None:
        failure = not_shown(failure, command.not_published)
    return Conclusion(
        row=row,
        state=ended_state(JobState(row.state), publication.outcome),
        now_ms=command.now_ms,
        parts=tuple(map(visible_part, publication.parts)) if failure is None else (),
        failure=failure,
        token=row.token,
        started_at_ms=row.started_at_ms,
        deaths=row.deaths,
        memory=memory_of(row),
        task=row.task,
    )


def _give_up(run: Run, command: GiveUp) -> GivenUp | Stale:
    row = run.connection.execute(_JOB, {"job_id": command.job_id}).first()
    publication = None if row is None else read_decision(run.connection, row)
    if row is None or publication is None:
        return Stale()
    if publication.outcome is Outcome.SUCCEEDED:
        document = document_of(row, command.failure)
        replace_decision(run.connection, row.id, document)
        publication = replace(publication, outcome=Outcome.FAILED, failure=document)
    return GivenUp(publication)
