"""How each command of the job store is carried out: a list of one kind in, one outcome each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from seatrial.adapters.sql.commands.arrive import arrive
from seatrial.adapters.sql.commands.cancel import cancel
from seatrial.adapters.sql.commands.expire import cancel_queued, expire, fail_queued
from seatrial.adapters.sql.commands.finish import finish
from seatrial.adapters.sql.commands.forget import forget_jobs, forget_keys
from seatrial.adapters.sql.commands.publication import give_up, published, withdrawn
from seatrial.adapters.sql.commands.release import release
from seatrial.adapters.sql.commands.servers import beat, close_lapsed
from seatrial.adapters.sql.commands.sessions import close_server_sessions, close_session, open_session
from seatrial.adapters.sql.commands.submit import submit
from seatrial.adapters.sql.commands.take import take
from seatrial.adapters.sql.run import Run
from seatrial.domain import commands
from seatrial.domain.commands import JobOutcome

Executor = Callable[[Run, Sequence[Any]], Sequence[JobOutcome]]

# In the order in which independent commands of one transaction run: what frees the queue, what fills it, what
# empties it. So a take sees the submissions that it shares a transaction with.
EXECUTORS: dict[type, Executor] = {
    commands.Finish: finish,
    commands.Published: published,
    commands.GiveUp: give_up,
    commands.Withdrawn: withdrawn,
    commands.Release: release,
    commands.OpenSession: open_session,
    commands.CloseSession: close_session,
    commands.CloseServerSessions: close_server_sessions,
    commands.Beat: beat,
    commands.CloseLapsed: close_lapsed,
    commands.Cancel: cancel,
    commands.Expire: expire,
    commands.FailQueued: fail_queued,
    commands.CancelQueued: cancel_queued,
    commands.ForgetKeys: forget_keys,
    commands.ForgetJobs: forget_jobs,
    commands.Submit: submit,
    commands.Arrive: arrive,
    commands.Take: take,
}

__all__ = ["EXECUTORS", "Executor"]
