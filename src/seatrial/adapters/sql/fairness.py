"""Which of the jobs that a session could take it may take now: limits of concurrency, and devices of their own.

These rules hold for all servers of the store, so takes that they concern come one after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from sqlalchemy import bindparam, func, select

from seatrial.adapters.sql.job_rows import JobRow
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs, sessions, word
from seatrial.domain.commands import Take
from seatrial.domain.jobs import JobPurpose, JobState
from seatrial.domain.limits import EXCLUSIVE_PATIENCE_SECONDS

_client = jobs.c.purpose == word(JobPurpose.CLIENT)
_running = jobs.c.state == word(JobState.RUNNING)
_OWNERS = (
    select(jobs.c.owner, func.count().label("running"))
    .where(jobs.c.session.is_not(None), _client)  # those that run, by the index of sessions
    .group_by(jobs.c.owner)
)
_ON_DEVICE = select(jobs.c.exclusive).where(
    _running, jobs.c.device_group.is_not(None), jobs.c.device_group == bindparam("device_group")
)
_of_device = jobs.c.device_group == bindparam("device_group")
_FIRST_EXCLUSIVE = (
    select(jobs)
    .where(jobs.c.state == word(JobState.QUEUED), jobs.c.exclusive, _of_device, jobs.c.cancel_requested.is_(False))
    .order_by(jobs.c.device_group, jobs.c.rank_ms, jobs.c.seq)
    .limit(1)
)
_SESSIONS = select(sessions.c.version_id).where(sessions.c.endpoint_id == bindparam("endpoint_id"))
_TO_TAKE = (
    select(jobs)
    .where(jobs.c.seq == bindparam("seq"), jobs.c.state == word(JobState.QUEUED), jobs.c.cancel_requested.is_(False))
    .with_for_update(key_share=True, skip_locked=True)
)
_LAST_ENDED = (
    select(jobs.c.ended_at_ms)
    .where(jobs.c.ended_at_ms.is_not(None), jobs.c.exclusive, _of_device)
    .order_by(jobs.c.device_group.desc(), jobs.c.ended_at_ms.desc())
    .limit(1)
)


class Room:
    """How many jobs a take may get: of its endpoint, and of each owner."""

    def __init__(self, run: Run, command: Take, endpoint_id: str) -> None:
        self.jobs = len(command.tokens)
        self._owner_max = command.owner_running_max
        self._of_owner: Counter[str] = Counter()
        if command.endpoint_running_max is None and self._owner_max is None:
            return
        run.take_turns()
        if command.endpoint_running_max is not None:
            left = command.endpoint_running_max - run.running(endpoint_id)
            self.jobs = max(0, min(self.jobs, left))
        if self._owner_max is not None:
            self._of_owner.update({row.owner: row.running for row in run.connection.execute(_OWNERS)})

    @property
    def full_owners(self) -> list[str]:
        """Owners that have as many running jobs as they may."""
        most = self._owner_max
        return [] if most is None else sorted(owner for owner, count in self._of_owner.items() if count >= most)

    def fill(self, rows: Sequence[JobRow]) -> list[JobRow]:
        """As many of them as there is room for, in order."""
        chosen: list[JobRow] = []
        for row in rows:
            if len(chosen) == self.jobs:
                break
            if row.purpose == JobPurpose.CLIENT and self._owner_max is not None:
                if self._of_owner[row.owner] >= self._owner_max:
                    continue
                self._of_owner[row.owner] += 1
            chosen.append(row)
        return chosen


def admitted(run: Run, rows: Sequence[JobRow], may_take: Callable[[JobRow], bool], now_ms: int) -> list[JobRow]:
    """Those that may run beside what runs on their device now; `may_take` says which the session could have.

    An exclusive job runs alone in its device group. It starts as soon as nothing runs there and it is first; once it
    has waited for EXCLUSIVE_PATIENCE_SECONDS, or the one before it has ended so long ago, nothing else starts before
    it, unless no worker is there to take it.
    """
    groups = sorted({row.device_group for row in rows if row.device_group is not None})
    if not groups:
        return list(rows)
    run.take_turns()
    free = {row.seq: row for row in rows if row.device_group is None}
    for group in groups:
        allowed = _admitted_in(run, group, [row for row in rows if row.device_group == group], may_take, now_ms)
        free.update((row.seq, row) for row in allowed)
    in_order = [free.pop(row.seq) for row in rows if row.seq in free]
    return [*free.values(), *in_order]


def _admitted_in(
    run: Run, group: str, rows: Sequence[JobRow], may_take: Callable[[JobRow], bool], now_ms: int
) -> list[JobRow]:
    which = {"device_group": group}
    running = run.connection.execute(_ON_DEVICE, which).scalars().all()
    if any(running):
        return []
    first = run.connection.execute(_FIRST_EXCLUSIVE, which).first()
    plain = [row for row in rows if not row.exclusive]
    if first is None or not _has_worker(run, first):
        return plain
    since_ms = max(first.submitted_at_ms, run.connection.execute(_LAST_ENDED, which).scalar() or 0)
    overdue = now_ms - since_ms >= EXCLUSIVE_PATIENCE_SECONDS * 1000
    if running:
        return [] if overdue else plain
    if not overdue and rows[0].seq != first.seq:
        return plain
    if not may_take(first):
        return []
    return list(run.connection.execute(_TO_TAKE, {"seq": first.seq}).all())


def _has_worker(run: Run, row: JobRow) -> bool:
    open_sessions = run.connection.execute(_SESSIONS, {"endpoint_id": row.endpoint_id}).scalars()
    return any(row.version_id in (None, version_id) for version_id in open_sessions)
