"""Commit the decisions of jobs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from seatrial.adapters.sql.ending import WISHED, Ending, end
from seatrial.adapters.sql.job_rows import JobRow, to_job, visible_part
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs
from seatrial.domain.commands import Finish, Finished, Outcome, Stale
from seatrial.domain.errors import PUBLISH_FAILED
from seatrial.domain.failures import Failure
from seatrial.domain.jobs import TERMINAL, JobEvent, JobState, Part, after

_HOLDING = select(jobs).where(jobs.c.token.in_(bindparam("tokens", expanding=True)))

_DECIDED = after(JobState.RUNNING, JobEvent.DECIDED)


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
    rows: dict[str, JobRow] = {row.token: row for row in run.connection.execute(_HOLDING, {"tokens": tokens})}
    endings: dict[str, Ending] = {}
    for command in commands:
        row = rows.get(command.token)
        if row is not None and _may_end(row, command):
            endings[command.token] = _ending(run, row, command)
    ended = dict(zip(endings, end(run, list(endings.values())), strict=True))
    return [Finished(ended[token]) if token in ended else _without_effect(rows.get(token)) for token in tokens]


def _may_end(row: JobRow, command: Finish) -> bool:
    """A job has one outcome; once its cancel was wished, that can only be the cancel."""
    wished_otherwise = row.cancel_requested and command.outcome is not Outcome.CANCELLED
    return row.state == JobState.RUNNING and not wished_otherwise


def _without_effect(row: JobRow | None) -> Finished | Stale:
    if row is None or row.state not in TERMINAL:
        return Stale()
    return Finished(to_job(row), repeated=True)


def _ending(run: Run, row: JobRow, command: Finish) -> Ending:
    started_at_ms = row.started_at_ms if command.started_at_ms is None else command.started_at_ms
    parts: tuple[Part, ...] = ()
    failure = command.failure
    if command.outcome is Outcome.SUCCEEDED:
        failure = _publish(run, command)
        state = after(_DECIDED, JobEvent.PUBLISHED if failure is None else JobEvent.FAILED)
        parts = tuple(map(visible_part, command.parts)) if failure is None else ()
    elif command.outcome is Outcome.CANCELLED:
        state = after(JobState.RUNNING, JobEvent.CANCELLED)
        failure = failure or WISHED
    elif failure is None:
        raise ValueError("a finish as failed says why: its failure is not set")
    else:
        state = after(JobState.RUNNING, JobEvent.FAILED)
    return Ending(row, state, command.now_ms, failure, parts, command.token, started_at_ms)


def _publish(run: Run, command: Finish) -> Failure | None:
    """Make all parts visible, the primary last, or none of them; why that was impossible."""
    for part in command.parts:
        if not run.publishing.possible(part.object):
            bucket = part.object.bucket
            return Failure(
                PUBLISH_FAILED,
                f"The result could not be published: bucket {bucket!r} does not exist.",
                {"bucket": bucket, "remedy": "create the bucket and retry the job"},
            )
    for part in command.parts:
        run.publishing.add(part.object, part.sealed, part.media_type, command.now_ms)
    return None
