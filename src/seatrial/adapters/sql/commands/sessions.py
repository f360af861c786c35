"""Open sessions, and close them with everything that they hold."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, insert, select, update

from seatrial.adapters.sql.ending import Ending, cancelled, end, failed
from seatrial.adapters.sql.job_rows import JobRow
from seatrial.adapters.sql.requeue import Return, requeue
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs, servers, sessions, versions
from seatrial.domain.commands import Closed, CloseServerSessions, CloseSession, Opened, OpenSession, SessionGone
from seatrial.domain.errors import ATTEMPTS_EXHAUSTED
from seatrial.domain.failures import Failure

_VERSION = (
    select(versions.c.id)
    .where(versions.c.id == bindparam("version_id"), versions.c.endpoint_id == bindparam("endpoint_id"))
    .with_for_update(read=True, key_share=True)
)
_IS_OPEN = select(sessions.c.id).where(sessions.c.id == bindparam("session"))
_OPEN = insert(sessions)
_KEPT = _IS_OPEN.with_for_update()
_HELD = select(jobs).where(jobs.c.session == bindparam("session")).order_by(jobs.c.seq).with_for_update(key_share=True)
PRESUME = update(jobs).where(jobs.c.session.in_(bindparam("names", expanding=True))).values(presumed=True)
_CLOSE = delete(sessions).where(sessions.c.id == bindparam("session"))
_OF_OTHERS = select(sessions.c.id).where(sessions.c.server != bindparam("server"))
_OTHERS = delete(servers).where(servers.c.id != bindparam("server"))
_of_home = servers.c.home == bindparam("home")
_OF_EARLIER = _OF_OTHERS.where(sessions.c.server.in_(select(servers.c.id).where(_of_home)))
_EARLIER = _OTHERS.where(_of_home)


def open_session(run: Run, commands: Sequence[OpenSession]) -> list[Opened | SessionGone]:
    """Each in turn."""
    return [_open(run, command) for command in commands]


def close_session(run: Run, commands: Sequence[CloseSession]) -> list[Closed]:
    """Each in turn."""
    return [_close(run, command) for command in commands]


def close_server_sessions(run: Run, commands: Sequence[CloseServerSessions]) -> list[Closed]:
    """Each in turn; nobody is charged for the end of a server."""
    return [_close_server(run, command) for command in commands]


def _open(run: Run, command: OpenSession) -> Opened | SessionGone:
    version = {"version_id": command.version_id, "endpoint_id": command.endpoint_id}
    if run.connection.execute(_VERSION, version).first() is None:
        return SessionGone()
    if run.connection.execute(_IS_OPEN, {"session": command.session}).first() is None:
        values = {"kind": command.kind, "server": command.server, "opened_at_ms": command.now_ms}
        run.connection.execute(_OPEN, {"id": command.session, **version, **values})
    return Opened()


def _close_server(run: Run, command: CloseServerSessions) -> Closed:
    which = {"server": command.server} | ({} if command.home is None else {"home": command.home})
    names = run.connection.execute(_OF_OTHERS if command.home is None else _OF_EARLIER, which).scalars().all()
    closed = close_lost(run, names, command.now_ms)
    run.connection.execute(_OTHERS if command.home is None else _EARLIER, which)
    return closed


def close_lost(run: Run, names: Sequence[str], now_ms: int) -> Closed:
    """Close sessions of servers that are gone.

    Nobody can say any more what had begun there, so everything counts as an attempt.
    """
    closed = [_close(run, CloseSession(name, now_ms), all_begun=True) for name in sorted(names)]
    return Closed(
        requeued=tuple(job_id for one in closed for job_id in one.requeued),
        ended=tuple(job for one in closed for job in one.ended),
    )


def _close(run: Run, command: CloseSession, all_begun: bool = False) -> Closed:
    run.connection.execute(_KEPT, {"session": command.session})  # a take in flight is waited for, and then seen
    if command.presumed:
        run.connection.execute(PRESUME, {"names": [command.session]})
    rows = run.connection.execute(_HELD, {"session": command.session}).all()
    begun = {row.token for row in rows if all_begun or row.token in command.begun}
    charged = begun if command.death is not None and len(begun) == 1 else set()
    suspects = begun if command.death is not None and len(begun) > 1 else set()
    endings: list[Ending] = []
    returns: list[Return] = []
    for row in rows:
        ending = _ending(row, command, begun=row.token in begun, died=row.token in charged)
        if ending is not None:
            endings.append(ending)
        else:
            returns.append(
                Return(
                    row,
                    begun=row.token in begun,
                    died=row.token in charged,
                    excused=row.token in begun and command.death is None,
                    suspect=row.token in suspects,
                )
            )
    requeue(run, returns)
    ended = end(run, endings)
    run.connection.execute(_CLOSE, {"session": command.session})
    return Closed(tuple(one.row.id for one in returns), tuple(ended))


def _ending(row: JobRow, command: CloseSession, begun: bool, died: bool) -> Ending | None:
    """How the job ends with its session, if it does: cancelled as wished, or after one death or attempt too many."""
    if row.cancel_requested:
        return cancelled(row, command.now_ms)
    if command.death is None or not begun:
        return None
    if died and row.deaths + 1 >= command.deaths_max:
        return failed(row, command.death, command.now_ms, deaths=row.deaths + 1)
    if row.attempt - row.excused >= command.attempts_max:
        return failed(row, _exhausted(row, command.death), command.now_ms, deaths=row.deaths + died)
    return None


def _exhausted(row: JobRow, last: Failure) -> Failure:
    message = (
        f"None of {row.attempt - row.excused} attempts came to an end: each lost its worker. Lately: {last.message}"
    )
    remedy = "Look at what runs beside the job in its worker: `seatrial logs NAME` has what it printed last."
    return Failure(ATTEMPTS_EXHAUSTED, message, {**last.details, "remedy": remedy})
