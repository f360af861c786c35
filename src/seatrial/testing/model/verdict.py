"""What must always hold, in every state and across every step: I1, I3, I4, I5, I6 and I7 of the architecture."""

from __future__ import annotations

from seatrial.testing.model.state import (
    CANCELLED,
    ENDED,
    NOBODY,
    PUBLISHING,
    RUNNING,
    SUCCEEDED,
    Job,
    Outcome,
    Part,
    Phase,
    State,
)


def fault(before: State, after: State) -> str | None:
    """The first promise that this step breaks."""
    for number in (0, 1):
        old, new = before.jobs[number], after.jobs[number]
        said = None
        if new is not old:
            said = _wrong_between(old, new) or _wrong_in(new) or _wrong_decision(before, after, number)
        said = said or _wrong_process(after, number, new)
        if said is not None:
            return f"{said} (job {number})"
    return None


def _wrong_in(job: Job) -> str | None:
    return _wrong_objects(job) or _wrong_words(job)


def _wrong_objects(job: Job) -> str | None:
    seen = job.visible
    ended = job.state in ENDED
    if job.superseded:
        return None  # its names belong to a later job
    withdrawing = job.given_up and not ended
    if seen & Part.PRIMARY and job.outcome != Outcome.SUCCESS and not withdrawing:
        return "I3: a primary name is visible without a decision for it"
    if seen & Part.PRIMARY and not seen & Part.SECONDARY:
        return "I3: a primary name is visible before a secondary part"
    if seen & Part.FAILURE and (seen & Part.RESULT or job.outcome == Outcome.SUCCESS):
        return "I3: success and failure are both visible"
    if job.state == SUCCEEDED and seen != Part.RESULT:
        return "I3: a job has succeeded and its result is not whole"
    if ended and job.state != SUCCEEDED and seen != Part.FAILURE:
        return "I3: a job has ended without success and its failure object is not there"
    if job.state == PUBLISHING and job.outcome == Outcome.SUCCESS and (seen | job.staged) & Part.RESULT != Part.RESULT:
        return "I3: a decided part is neither visible nor staged any more"
    return None


def _wrong_words(job: Job) -> str | None:
    if job.twin:
        return "I6: one idempotency key made two jobs"
    if job.outbox > 1 or (job.outbox and job.state not in ENDED):
        return "I5: not one outbox row, written with the terminal state"
    if job.wished and job.outcome == Outcome.SUCCESS:
        return "I4: a cancel was accepted and the job was decided otherwise"
    return None


def _wrong_between(old: Job, new: Job) -> str | None:
    if old.state in ENDED and new.state != old.state:
        return "I3: a terminal state has changed"
    given_up = new.given_up and old.state == PUBLISHING and old.outcome == Outcome.SUCCESS
    if old.outcome and new.outcome != old.outcome and not given_up:
        return "I3: a job was decided twice"
    if old.wished and new.outcome not in (Outcome.NONE, Outcome.CANCEL):
        return "I4: a cancel was accepted and the job was decided otherwise"
    return None


def _wrong_decision(before: State, after: State, number: int) -> str | None:
    """A zombie attempt decides nothing: when an attempt brings a decision, the row names that very attempt."""
    old, new = before.jobs[number], after.jobs[number]
    if old.outcome == new.outcome or new.outcome == Outcome.CANCEL:
        return None
    for at, (was, now) in enumerate(zip(before.workers, after.workers, strict=True)):
        if was.job == number and now.job == NOBODY and (old.state != RUNNING or old.holder != at):
            return "I4: an attempt whose token was replaced has decided"
    return None


def _wrong_process(state: State, number: int, job: Job) -> str | None:
    if job.outcome != Outcome.CANCEL or job.presumed:
        return None
    if job.state != CANCELLED:
        return None
    for worker in state.workers:
        if worker.orphan == number or (worker.phase == Phase.RUNS and worker.job == number):
            return "I7: a job is called cancelled while a process still executes it"
    return None
