"""Commit the decisions of jobs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from seatrial.adapters.sql.ending import WISHED, Ending, end
from seatrial.adapters.sql.job_rows import JobRow, to_job
from seatrial.adapters.sql.query import Query
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs
from seatrial.domain.commands import Finish, Finished, Outcome, Stale
from seatrial.domain.jobs import TERMINAL, Job, JobState

_HOLDING = Query(
    select(jobs)
    .where(jobs.c.token.in_(bindparam("tokens", expanding=True)))
    .order_by(jobs.c.token)
    .with_for_update(key_share=True),
    ["tokens"],
)

_HAS_OUTCOME = TERMINAL | {JobState.PUBLISHING}


def finish(run: Run, commands: Sequence[Finish]) -> list[Finished | Stale]:
    """All that can be done at once together; a token that comes again sees what it did before."""
    return [outcome for part in _without_repeats(commands) for outcome in _finish(run, part)]


def _without_repeats(commands: Sequence[Finish]) -> list[list[Finish]]:
    """The commands in order, cut wherever a token comes again."""
    parts: list[list[Finish]] = [[]]
    tokens: set[str] = set()
    for command in commands:
        if command.token in tokens:
            parts.append([])
            tokens.clear()
        parts[-1].append(command)
        tokens.add(command.token)
    return parts


def _finish(run: Run, commands: Sequence[Finish]) -> list[Finished | Stale]:
    tokens = [command.token for command in commands]
    rows: dict[str, JobRow] = {row.token: row for row in _HOLDING.all(run.connection, {"tokens": tokens})}
    endings: dict[str, Ending] = {}
    for command in commands:
        row = rows.get(command.token)
        if row is not None and _may_end(row, command):
            endings[command.token] = _ending(row, command)
    ended = dict(zip(endings, end(run, list(endings.values())), strict=True))
    return [_accepted(run, ended[one]) if one in ended else _without_effect(rows.get(one)) for one in tokens]


def _accepted(run: Run, job: Job) -> Finished:
    return Finished(job, superseded=run.superseded.get(job.id, ()))


def _may_end(row: JobRow, command: Finish) -> bool:
    """A job has one outcome; once its cancel was wished, that can only be the cancel."""
    wished_otherwise = row.cancel_requested and command.outcome is not Outcome.CANCELLED
    return row.state == JobState.RUNNING and not wished_otherwise


def _without_effect(row: JobRow | None) -> Finished | Stale:
    if row is None or row.state not in _HAS_OUTCOME:
        return Stale()
    return Finished(to_job(row), repeated=True)


def _ending(row: JobRow, command: Finish) -> Ending:
    failure = command.failure
    if command.outcome is Outcome.CANCELLED:
        failure = failure or WISHED
    elif command.outcome is Outcome.FAILED and failure is None:
        raise ValueError("a finish as failed says why: its failure is not set")
    return Ending(
        row=row,
        outcome=command.outcome,
        now_ms=command.now_ms,
        failure=None if command.outcome is Outcome.SUCCEEDED else failure,
        parts=command.parts if command.outcome is Outcome.SUCCEEDED else (),
        token=command.token,
        started_at_ms=row.started_at_ms if command.started_at_ms is None else command.started_at_ms,
        memory=command.memory,
        task=command.task,
    )
