"""ports.job_store.JobStore on the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby

from sqlalchemy import Connection, bindparam, func, select, update

from seatrial.adapters.sql.backlogs import read_backlogs
from seatrial.adapters.sql.commands import EXECUTORS
from seatrial.adapters.sql.commands.forget import ended_until, inputs_named
from seatrial.adapters.sql.commands.submit import made_before
from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.deciding import left_decisions, read_decision, waiting_decisions
from seatrial.adapters.sql.job_rows import to_job
from seatrial.adapters.sql.listing import list_jobs
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import job_counts, jobs, stores, word
from seatrial.domain.commands import IdempotencyKey, JobCommand, JobOutcome, KeyConflict, Publication, Submitted
from seatrial.domain.jobs import Backlog, Job, JobFilter, JobState

_JOB = select(jobs).where(jobs.c.id == bindparam("job_id"))
_COUNTS = select(job_counts.c.state, job_counts.c.count).where(
    job_counts.c.endpoint_id == bindparam("endpoint_id"), job_counts.c.count > 0
)
_NEXT_DEADLINE, _NEXT_UPLOAD_DEADLINE = (  # not min(), which would walk the whole index
    select(jobs.c.expires_at_ms).where(jobs.c.state == word(state)).order_by(jobs.c.expires_at_ms).limit(1)
    for state in (JobState.QUEUED, JobState.AWAITING_UPLOAD)
)
_AHEAD = select(jobs.c.seq).where(jobs.c.state == word(JobState.QUEUED))
_OVERDUE = (  # of the few that are running
    select(jobs.c.session).where(jobs.c.session.is_not(None), jobs.c.decide_by_ms <= bindparam("until_ms")).distinct()
)
_TOUCH = update(stores).values(incarnation=stores.c.incarnation)
_UNFINISHED = select(jobs.c.id, jobs.c.token).where(
    jobs.c.state.in_((JobState.RUNNING.value, JobState.PUBLISHING.value)),
    jobs.c.id.in_(bindparam("words", expanding=True)) | jobs.c.token.in_(bindparam("words", expanding=True)),
)

Commands = Sequence[JobCommand]
_Step = tuple[int, int]  # which caller, which of its commands


class SqlJobStore:
    """Jobs, sessions and claims in one database. Concurrent calls of `apply` share a transaction."""

    def __init__(self, database: Database, publish_within_ms: int | None = None) -> None:
        """`publish_within_ms` None: names are rows of this database. Else see `Publication`."""
        self._database = database
        self._together = partial(run_together, publish_within_ms=publish_within_ms)  # one object: it is compared

    async def apply(self, commands: Commands) -> list[JobOutcome]:
        """See the port."""
        if not commands:
            return []
        return await self._database.write_together(self._together, commands, len(commands))

    async def job(self, job_id: str) -> Job | None:
        """See the port."""
        return await self._database.read(partial(_read_job, job_id=job_id))

    async def made_before(self, key: IdempotencyKey, now_ms: int) -> Submitted | KeyConflict | None:
        """See the port."""
        return await self._database.read(partial(made_before, key=key, now_ms=now_ms))

    async def jobs(self, which: JobFilter) -> list[Job]:
        """See the port."""
        return await self._database.read(partial(list_jobs, which=which))

    async def counts(self, endpoint_id: str) -> Mapping[JobState, int]:
        """See the port."""
        return await self._database.read(partial(_read_counts, endpoint_id=endpoint_id))

    async def backlogs(self) -> Mapping[str, Backlog]:
        """See the port."""
        return await self._database.read(read_backlogs)

    async def next_deadline_ms(self) -> int | None:
        """See the port."""
        return await self._database.read(_read_next_deadline)

    async def ahead_of(self, job_id: str, most: int) -> int:
        """See the port."""
        return await self._database.read(partial(_count_ahead, job_id=job_id, most=most))

    async def overdue(self, until_ms: int) -> list[str]:
        """See the port."""
        return await self._database.read(partial(_read_overdue, until_ms=until_ms))

    async def ended_until(self, until_ms: int, limit: int) -> list[str]:
        """See the port."""
        return await self._database.read(partial(ended_until, until_ms=until_ms, limit=limit))

    async def inputs_named(self, bucket: str, keys: Sequence[str]) -> set[str]:
        """See the port."""
        return await self._database.read(partial(inputs_named, bucket=bucket, keys=keys))

    async def check(self) -> None:
        """See the port."""
        await self._database.write(_touch)

    async def publications(self, until_ms: int, limit: int) -> list[Publication]:
        """See the port."""
        return await self._database.read(partial(waiting_decisions, until_ms=until_ms, limit=limit))

    async def publication(self, job_id: str) -> Publication | None:
        """See the port."""
        return await self._database.read(partial(_read_publication, job_id=job_id))

    async def withdrawals(self, limit: int) -> list[Publication]:
        """See the port."""
        return await self._database.read(partial(left_decisions, limit=limit))

    async def still_needed(self, words: Sequence[str]) -> set[str]:
        """See the port."""
        return await self._database.read(partial(_read_needed, words=words))


def run_together(
    connection: Connection, callers: Sequence[Commands], publish_within_ms: int | None = None
) -> list[list[JobOutcome]]:
    """Carry out the commands of several callers; one list of outcomes for each."""
    run = Run(connection, publish_within_ms)
    outcomes: list[list[JobOutcome]] = [[] for _ in callers]
    for kind, same in groupby(_in_order(callers), key=lambda step: type(callers[step[0]][step[1]])):
        steps = list(same)
        results = EXECUTORS[kind](run, [callers[caller][at] for caller, at in steps])
        for (caller, _), outcome in zip(steps, results, strict=True):
            outcomes[caller].append(outcome)
    run.write()
    return outcomes


def _in_order(callers: Sequence[Commands]) -> Iterator[_Step]:
    """All commands, those of one kind side by side as far as each caller's own order allows."""
    next_of: dict[type, list[_Step]] = {kind: [] for kind in EXECUTORS}
    for caller, commands in enumerate(callers):
        next_of[type(commands[0])].append((caller, 0))
    while any(next_of.values()):
        for kind in EXECUTORS:
            waiting, next_of[kind] = next_of[kind], []
            for caller, first in waiting:
                commands = callers[caller]
                end = first
                while end < len(commands) and type(commands[end]) is kind:
                    end += 1
                yield from ((caller, at) for at in range(first, end))
                if end < len(commands):
                    next_of[type(commands[end])].append((caller, end))


def _touch(connection: Connection) -> None:
    connection.execute(_TOUCH)


def _read_job(connection: Connection, job_id: str) -> Job | None:
    row = connection.execute(_JOB, {"job_id": job_id}).first()
    return None if row is None else to_job(row)


def _read_counts(connection: Connection, endpoint_id: str) -> Mapping[JobState, int]:
    rows = connection.execute(_COUNTS, {"endpoint_id": endpoint_id})
    return {JobState(state): count for state, count in rows}


def _read_publication(connection: Connection, job_id: str) -> Publication | None:
    row = connection.execute(_JOB, {"job_id": job_id}).first()
    return None if row is None else read_decision(connection, row)


def _read_needed(connection: Connection, words: Sequence[str]) -> set[str]:
    rows = connection.execute(_UNFINISHED, {"words": list(words)}).all()
    return {row.id for row in rows} | {row.token for row in rows if row.token is not None}


def _count_ahead(connection: Connection, job_id: str, most: int) -> int:
    row = connection.execute(_JOB, {"job_id": job_id}).first()
    if row is None or row.state != JobState.QUEUED:
        return 0
    same_queue = _AHEAD.where(
        jobs.c.endpoint_id == row.endpoint_id,
        jobs.c.version_id.is_(None) if row.version_id is None else jobs.c.version_id == row.version_id,
    )
    counts = [
        connection.execute(select(func.count()).select_from(part.limit(most).subquery())).scalar_one()
        for part in (
            same_queue.where(jobs.c.rank_ms < row.rank_ms),
            same_queue.where(jobs.c.rank_ms == row.rank_ms, jobs.c.seq < row.seq),
        )
    ]
    return min(most, sum(counts))


def _read_overdue(connection: Connection, until_ms: int) -> list[str]:
    return list(connection.execute(_OVERDUE, {"until_ms": until_ms}).scalars())


def _read_next_deadline(connection: Connection) -> int | None:
    deadlines = (connection.execute(one).scalar() for one in (_NEXT_DEADLINE, _NEXT_UPLOAD_DEADLINE))
    return min((one for one in deadlines if one is not None), default=None)
