"""Hand queued jobs to sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, bindparam, select, update

from seatrial.adapters.sql.job_rows import JobRow, to_job
from seatrial.adapters.sql.prepared import Prepared
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs, sessions, word
from seatrial.domain.commands import Claim, SessionGone, Take, Taken
from seatrial.domain.jobs import Job, JobEvent, JobState, after

_TAKEN = after(JobState.QUEUED, JobEvent.TAKEN)

_SESSION = select(sessions).where(sessions.c.id == bindparam("session"))
_SESSION_KEPT = _SESSION.with_for_update(read=True, key_share=True)
_TAKEN_WITH = select(jobs).where(jobs.c.token.in_(bindparam("tokens", expanding=True)))
_MARK_TAKEN = Prepared(
    update(jobs)
    .where(jobs.c.seq == bindparam("at"))
    .values({name: bindparam(name) for name in ("state", "attempt", "token", "session", "taken_by", "started_at_ms")})
)


def _waiting(*which: Any) -> Select[Any]:
    """The oldest of the highest priority that wait in one part of an endpoint's queue."""
    return (
        select(jobs)
        .where(
            jobs.c.endpoint_id == bindparam("endpoint_id"),
            jobs.c.state == word(JobState.QUEUED),
            jobs.c.cancel_requested.is_(False),
            *which,
        )
        # The index's own order in full: PostgreSQL does not see that a column that IS NULL is one value.
        .order_by(jobs.c.endpoint_id, jobs.c.version_id, jobs.c.priority, jobs.c.seq)
        .limit(bindparam("most"))
        .with_for_update(key_share=True, skip_locked=True)
    )


# Each part is read through its own index from its beginning, however deep the other one is.
_FOR_VERSION = _waiting(jobs.c.version_id == bindparam("version_id"))
_FOR_ANY = _waiting(jobs.c.version_id.is_(None))
_FOR_VERSION_PREFERRED = _waiting(
    jobs.c.version_id == bindparam("version_id"), jobs.c.affinity == bindparam("affinity")
)
_FOR_ANY_PREFERRED = _waiting(jobs.c.version_id.is_(None), jobs.c.affinity == bindparam("affinity"))


def take(run: Run, commands: Sequence[Take]) -> list[Taken | SessionGone]:
    """Each in turn."""
    return [_take(run, command) for command in commands]


def _take(run: Run, command: Take) -> Taken | SessionGone:
    session = run.connection.execute(_SESSION, {"session": command.session}).first()
    if session is None:
        return SessionGone()
    if not command.tokens:
        return Taken(())
    known = run.connection.execute(_TAKEN_WITH, {"tokens": command.tokens}).all()
    if known:
        return _taken_before(known, command)
    candidates = _candidates(run, session, command)
    # Nobody closes the session between its claims and their commit. A look at an empty queue writes nothing.
    if candidates and run.connection.execute(_SESSION_KEPT, {"session": command.session}).first() is None:
        return SessionGone()
    claims = []
    moves = []
    for row, token in zip(candidates, command.tokens, strict=False):
        change = {
            "state": _TAKEN,
            "attempt": row.attempt + 1,
            "started_at_ms": command.now_ms,
            "taken_by": session.version_id,
        }
        claims.append(_claim(to_job(row, change), token, command.now_ms))
        moves.append({**change, "state": _TAKEN.value, "at": row.seq, "token": token, "session": command.session})
        run.moved(row.endpoint_id, row.purpose, JobState.QUEUED, JobState.RUNNING)
    if moves:
        _MARK_TAKEN.run(run.connection, moves)
    return Taken(tuple(claims))


def _candidates(run: Run, session: Row[Any], command: Take) -> list[JobRow]:
    """The rows to hand out, in order: by priority, then what the session prefers, then by age."""
    endpoint = run.endpoint(session.endpoint_id)
    active = endpoint is not None and endpoint.active_version == session.version_id
    where = {
        "endpoint_id": session.endpoint_id,
        "version_id": session.version_id,
        "most": len(command.tokens),
    }
    found: dict[int, JobRow] = {}

    def look(statement: Select[Any], **more: str) -> None:
        found.update((row.seq, row) for row in run.connection.execute(statement, where | more))

    look(_FOR_VERSION)
    for affinity in sorted(command.prefer):
        look(_FOR_VERSION_PREFERRED, affinity=affinity)
    if active:
        look(_FOR_ANY)
        for affinity in sorted(command.prefer):
            look(_FOR_ANY_PREFERRED, affinity=affinity)
    return sorted(found.values(), key=lambda row: (row.priority, row.affinity not in command.prefer, row.seq))


def _taken_before(known: Sequence[JobRow], command: Take) -> Taken:
    """What the first of two equal takes got, as far as the session still holds it."""
    held = [row for row in known if row.session == command.session]
    claims = {row.token: _claim(to_job(row), row.token, command.now_ms) for row in held}
    return Taken(tuple(claims[token] for token in command.tokens if token in claims))


def _claim(job: Job, token: str, now_ms: int) -> Claim:
    return Claim(job, job.attempt, token, max(0, job.decide_by_ms - now_ms))
