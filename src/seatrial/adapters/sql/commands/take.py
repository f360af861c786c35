"""Hand queued jobs to sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Boolean, Select, bindparam, select, update

from seatrial.adapters.sql.fairness import Room, admitted
from seatrial.adapters.sql.job_rows import JobRow, to_job
from seatrial.adapters.sql.outbox_rows import post_deliveries
from seatrial.adapters.sql.prepared import Prepared
from seatrial.adapters.sql.query import Query, Row
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs, sessions, word
from seatrial.domain.announcement import started_deliveries
from seatrial.domain.commands import Claim, SessionGone, Take, Taken
from seatrial.domain.jobs import Job, JobEvent, JobPurpose, JobState, after
from seatrial.domain.limits import AFFINITY_HEAD_START_MS, AFFINITY_WAIT_MS

_TAKEN = after(JobState.QUEUED, JobEvent.TAKEN)

_OF_ID = select(sessions).where(sessions.c.id == bindparam("session"))
_SESSION = Query(_OF_ID)
_SESSION_KEPT = Query(_OF_ID.with_for_update(read=True, key_share=True))
_HELD = Query(select(jobs.c.seq).where(jobs.c.session == bindparam("session")).limit(1))
_TAKEN_WITH = Query(select(jobs).where(jobs.c.token.in_(bindparam("tokens", expanding=True))), ["tokens"])
_MARK_TAKEN = Prepared(
    update(jobs)
    .where(jobs.c.seq == bindparam("at"))
    .values({name: bindparam(name) for name in ("state", "attempt", "token", "session", "taken_by", "started_at_ms")})
)


def _waiting(*, of_version: bool, of_affinity: bool, guarded: bool) -> Select[Any]:
    """The first that wait in one part of an endpoint's queue: each part has its own index, walked from its beginning.

    Guarded, without those of full owners, those that an idle session elsewhere holds the affinity of, and (unless they
    are asked for too) the exclusive ones.
    """
    which = [
        jobs.c.version_id == bindparam("version_id") if of_version else jobs.c.version_id.is_(None),
        *([jobs.c.affinity == bindparam("affinity")] if of_affinity else []),
        *(_UNGUARDED if guarded else []),
    ]
    return (
        select(jobs)
        .where(
            jobs.c.endpoint_id == bindparam("endpoint_id"),
            jobs.c.state == word(JobState.QUEUED),
            jobs.c.cancel_requested.is_(False),
            *which,
        )
        # The index's own order in full: PostgreSQL does not see that a column that IS NULL is one value.
        .order_by(jobs.c.endpoint_id, jobs.c.version_id, jobs.c.rank_ms, jobs.c.seq)
        .limit(bindparam("most"))
        .with_for_update(key_share=True, skip_locked=True)
    )


_UNGUARDED = [
    jobs.c.owner.not_in(bindparam("full_owners", expanding=True)) | (jobs.c.purpose != word(JobPurpose.CLIENT)),
    jobs.c.affinity.is_(None)
    | jobs.c.affinity.not_in(bindparam("elsewhere", expanding=True))
    | (jobs.c.submitted_at_ms <= bindparam("waited_since_ms")),
    jobs.c.exclusive.is_(False) | bindparam("exclusive_too", type_=Boolean),
]
_WAITING = {
    (of_version, of_affinity, guarded): Query(
        _waiting(of_version=of_version, of_affinity=of_affinity, guarded=guarded),
        ["full_owners", "elsewhere"] if guarded else [],
    )
    for of_version in (True, False)
    for of_affinity in (True, False)
    for guarded in (True, False)
}


def take(run: Run, commands: Sequence[Take]) -> list[Taken | SessionGone]:
    """Each in turn."""
    return [_take(run, command) for command in commands]


def _take(run: Run, command: Take) -> Taken | SessionGone:
    session = _SESSION.first(run.connection, {"session": command.session})
    if session is None:
        return SessionGone()
    if not command.tokens:
        return Taken(())
    known = _TAKEN_WITH.all(run.connection, {"tokens": command.tokens})
    if known:
        return _taken_before(known, command)
    chosen, held_back = _choose(run, session, command)
    # Nobody closes the session between its claims and their commit. A look at an empty queue writes nothing.
    if chosen and _SESSION_KEPT.first(run.connection, {"session": command.session}) is None:
        return SessionGone()
    claims = []
    moves = []
    for row, token in zip(chosen, command.tokens, strict=False):
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
        told = [one for claim in claims for one in started_deliveries(claim.job, command.now_ms)]
        if told:
            post_deliveries(run.connection, told)
    return Taken(tuple(claims), held_back)


def _choose(run: Run, session: Row, command: Take) -> tuple[list[JobRow], bool]:
    """The rows to hand out, in order; and whether others are held back for now."""
    endpoint = run.endpoint(session.endpoint_id)
    active = endpoint is not None and endpoint.active_version == session.version_id
    room = Room(run, command, session.endpoint_id)
    if not room.jobs:
        return [], True

    def may_take(row: JobRow) -> bool:
        mine = row.version_id == session.version_id or (active and row.version_id is None)
        return row.endpoint_id == session.endpoint_id and mine

    candidates = _candidates(run, session, command, room, active)
    chosen = room.fill(admitted(run, candidates, may_take, command.now_ms))
    if not chosen and any(row.exclusive for row in candidates):  # others may pass those that have to wait
        candidates = _candidates(run, session, command, room, active, exclusive_too=False) or candidates
        chosen = room.fill(admitted(run, candidates, may_take, command.now_ms))
    chosen = _alone_if_suspect(run, chosen, command.session)
    return chosen, bool(room.full_owners) or len(chosen) < len(candidates)


def _alone_if_suspect(run: Run, chosen: list[JobRow], session: str) -> list[JobRow]:
    """After a death that several jobs shared each of them has a worker for itself: the next death tells which it is."""
    first = next((at for at, row in enumerate(chosen) if row.suspect), None)
    if first is None:
        return chosen
    if first > 0:
        return chosen[:first]
    holds_others = _HELD.first(run.connection, {"session": session}) is not None
    return [] if holds_others else chosen[:1]


def _candidates(
    run: Run, session: Row, command: Take, room: Room, active: bool, exclusive_too: bool = True
) -> list[JobRow]:
    """By rank, those of an affinity that the session holds with a head start."""
    elsewhere, full_owners = command.elsewhere - command.prefer, room.full_owners
    guarded = bool(elsewhere or full_owners) or not exclusive_too
    where = {"endpoint_id": session.endpoint_id, "most": room.jobs}
    if guarded:
        since_ms = command.now_ms - AFFINITY_WAIT_MS
        where |= {"elsewhere": sorted(elsewhere), "full_owners": full_owners, "waited_since_ms": since_ms}
        where |= {"exclusive_too": exclusive_too}
    found: dict[int, JobRow] = {}
    for of_version in (True, False) if active else (True,):
        part = where | ({"version_id": session.version_id} if of_version else {})
        for affinity in (None, *sorted(command.prefer)):
            query = _WAITING[of_version, affinity is not None, guarded]
            values = part if affinity is None else part | {"affinity": affinity}
            found.update((row.seq, row) for row in query.all(run.connection, values))

    def standing(row: JobRow) -> tuple[int, int]:
        return row.rank_ms - (AFFINITY_HEAD_START_MS if row.affinity in command.prefer else 0), row.seq

    return sorted(found.values(), key=standing)[: room.jobs]


def _taken_before(known: Sequence[JobRow], command: Take) -> Taken:
    """What the first of two equal takes got, as far as the session still holds it."""
    held = [row for row in known if row.session == command.session]
    claims = {row.token: _claim(to_job(row), row.token, command.now_ms) for row in held}
    return Taken(tuple(claims[token] for token in command.tokens if token in claims))


def _claim(job: Job, token: str, now_ms: int) -> Claim:
    return Claim(job, job.attempt, token, max(0, job.decide_by_ms - now_ms))
