"""Take claims back that had not begun."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from seatrial.adapters.sql.requeue import Return, requeue
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs
from seatrial.domain.commands import Release, Released

_HELD = (
    select(jobs)
    .where(jobs.c.session.is_not(None), jobs.c.token.in_(bindparam("tokens", expanding=True)))
    .order_by(jobs.c.token)
    .with_for_update(key_share=True)
)


def release(run: Run, commands: Sequence[Release]) -> list[Released]:
    """Each in turn; a token that proves nothing is passed over."""
    return [_release(run, command) for command in commands]


def _release(run: Run, command: Release) -> Released:
    rows = run.connection.execute(_HELD, {"tokens": command.tokens}).all()
    requeue(run, [Return(row, begun=False) for row in rows])
    return Released(len(rows))
