"""Does every sample of every task succeed?"""

from __future__ import annotations

import time
from collections.abc import Iterator

from seatrial.prove.contract import Sample, Task
from seatrial.prove.targets.answer import Answer, State
from seatrial.prove.targets.trouble import TargetTrouble
from seatrial.prove.verify.check import Check, Line, failed, not_applicable, ok
from seatrial.prove.verify.round import Round, SampleRun

ID = "inference.succeeds"
REMEDY = "see the endpoint's log around that time; run the request by hand"
TASK_REMEDY = (
    "the handler has no task of that name: correct it in the contract and in the clients, or in the handler; "
    "aliases let both names live"
)


def look(round_: Round) -> Iterator[Line]:
    """Runs them, one after the other; the first one may have to wait for a worker."""
    for number, (task, sample) in enumerate(round_.contract.samples()):
        if not round_.in_service:
            subject = SampleRun(task=task, sample=sample, answer=None).subject
            yield not_applicable(ID, "not run: the endpoint left service", subject)
            continue
        round_.progress(f"{task.name or 'the sample'} {sample.name}")
        run = _run(round_, task, sample, is_first=number == 0)
        round_.runs.append(run)
        yield _line(run)
    round_.answered_at = time.time()
    bare = [task.name for task in round_.contract.tasks if not task.samples]
    for name in bare:
        yield failed(ID, f"task {name!r} has no sample: nothing shows that it works", "add one to the contract", name)
    if not round_.contract.tasks:
        yield not_applicable(ID, "the contract has no tasks")


def _run(round_: Round, task: Task, sample: Sample, is_first: bool) -> SampleRun:
    ready = round_.description.workers_ready if round_.description is not None else None
    patience = max(task.timeout_seconds, round_.contract.cold_start_seconds) if is_first else task.timeout_seconds
    ticket = None
    try:
        ticket = round_.submit(task, sample)
        answer = round_.wait(ticket, patience)
        run = SampleRun(task=task, sample=sample, answer=answer, ticket=ticket, seconds=answer.seconds)
        budget = budget_of(round_, task)
        slow = ready is None and budget is not None and answer.seconds > budget  # nobody says whether it was cold
        if answer.state is not State.SUCCEEDED or not is_first or not (ready == 0 or slow):
            return run
        # The first answer waited for a worker to start: a second one tells the latency.
        cold_seconds, ticket = answer.seconds, None
        ticket = round_.submit(task, sample)
        answer = round_.wait(ticket, task.timeout_seconds)
    except TargetTrouble as trouble:
        return SampleRun(task=task, sample=sample, answer=None, trouble=trouble, ticket=ticket)
    return SampleRun(
        task=task, sample=sample, answer=answer, ticket=ticket, seconds=answer.seconds, cold_seconds=cold_seconds
    )


def budget_of(round_: Round, task: Task) -> float | None:
    """Seconds within which an answer has to be there; None: nobody says."""
    if task.latency_seconds_max is not None:
        return task.latency_seconds_max
    first = round_.contract.tasks[0] if round_.contract.tasks else None
    return round_.settings.latency_seconds if task is first else None


def _line(run: SampleRun) -> Line:
    if run.trouble is not None:
        began = f"accepted as {run.ticket.id}, and then" if run.ticket is not None else "it was not accepted"
        return failed(ID, f"{began}: {run.trouble}", run.trouble.remedy or REMEDY, run.subject)
    answer: Answer | None = run.answer
    if answer is None:
        return failed(ID, "it was not run", REMEDY, run.subject)
    measured = {"seconds": round(answer.seconds, 3), "evidence": dict(answer.evidence)}
    if answer.state is State.SUCCEEDED:
        return ok(ID, f"succeeded in {answer.seconds:.2f} s", run.subject, **measured)
    if answer.state is State.PENDING:
        words = f"no end after {answer.seconds:.0f} s"
        return failed(
            ID, words, "raise timeout_seconds of the task, or see what the job waits for", run.subject, **measured
        )
    return failed(ID, answer.words, _remedy(answer), run.subject, **measured)


def _remedy(answer: Answer) -> str:
    if answer.failure is not None and answer.failure.remedy:
        return answer.failure.remedy
    return TASK_REMEDY if "unknown task" in answer.words.lower() else REMEDY


CHECK = Check(ID, "every task's inference succeeds", look, point="4, 5")
