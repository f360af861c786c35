"""Leases of the servers that share a store: one heartbeat row each, judged by the database's clock only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, bindparam, delete, insert, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from seatrial.adapters.sql.commands.sessions import PRESUME, close_lost
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import servers, sessions
from seatrial.domain.commands import Beat, Beaten, Closed, CloseLapsed


class _Now(FunctionElement[int]):
    """The database's clock: milliseconds since the epoch, at the time when it is asked."""

    type = BigInteger()
    inherit_cache = True


@compiles(_Now, "sqlite")
def _now_in_sqlite(_element: _Now, _compiler: Any, **_: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"


@compiles(_Now, "postgresql")
def _now_in_postgresql(_element: _Now, _compiler: Any, **_: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


NOW = select(_Now())
_LAST = select(servers.c.beat_at_ms).where(servers.c.id == bindparam("server")).with_for_update()
_FIRST = insert(servers)
_AGAIN = update(servers).where(servers.c.id == bindparam("server")).values(beat_at_ms=bindparam("at_ms"))
_LAPSED = (
    select(servers.c.id)
    .where(servers.c.id != bindparam("server"), servers.c.beat_at_ms < bindparam("since_ms"))
    .order_by(servers.c.id)
    .with_for_update()  # one that beats just now is waited for, and is no longer among them
)
_FORGET = delete(servers).where(servers.c.id.in_(bindparam("ids", expanding=True)))
_OF_NOBODY = select(sessions.c.id).where(
    sessions.c.server != bindparam("server"), ~select(servers.c.id).where(servers.c.id == sessions.c.server).exists()
)


def beat(run: Run, commands: Sequence[Beat]) -> list[Beaten]:
    """Each in turn."""
    return [_beat(run, command) for command in commands]


def close_lapsed(run: Run, commands: Sequence[CloseLapsed]) -> list[Closed]:
    """Each in turn; nobody is charged for the end of a server."""
    return [_close_lapsed(run, command) for command in commands]


def _beat(run: Run, command: Beat) -> Beaten:
    last_ms = run.connection.execute(_LAST, {"server": command.server}).scalar()
    now_ms = run.connection.execute(NOW).scalar_one()
    if last_ms is None:
        run.connection.execute(_FIRST, {"id": command.server, "home": command.home, "beat_at_ms": now_ms})
        return Beaten(None)
    run.connection.execute(_AGAIN, {"server": command.server, "at_ms": now_ms})
    return Beaten(max(0, now_ms - last_ms))


def _close_lapsed(run: Run, command: CloseLapsed) -> Closed:
    since_ms = run.connection.execute(NOW).scalar_one() - command.lease_ms
    which = {"server": command.server}
    lapsed = run.connection.execute(_LAPSED, which | {"since_ms": since_ms}).scalars().all()
    if lapsed:
        run.connection.execute(_FORGET, {"ids": lapsed})
    # A session whose server has no row lost it here, or came with a backup.
    names = run.connection.execute(_OF_NOBODY, which).scalars().all()
    if names:  # nobody has seen what becomes of their processes
        run.connection.execute(PRESUME, {"names": names})
    return close_lost(run, names, command.now_ms)
