"""Did each task answer within its budget?"""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.prove.targets.answer import State
from seatrial.prove.verify.check import Check, Line, failed, not_applicable, ok
from seatrial.prove.verify.checks.inference import budget_of
from seatrial.prove.verify.round import Round

ID = "latency.within_budget"


def look(round_: Round) -> Iterator[Line]:
    """From the request to its end, as the client sees it; a cold start has a budget of its own."""
    for run in round_.runs:
        if run.answer is None or run.answer.state is not State.SUCCEEDED:
            yield not_applicable(ID, "it did not succeed", run.subject)
            continue
        budget = budget_of(round_, run.task)
        took = f"{run.seconds:.2f} s"
        measured = {"seconds": round(run.seconds, 3), "seconds_max": budget}
        if budget is None:
            reason = f"no budget: latency_seconds_max of task {run.task.name!r} is not declared; it took {took}"
            yield not_applicable(ID, reason, run.subject)
        elif run.seconds <= budget:
            yield ok(ID, f"{took} of {budget:g} s", run.subject, **measured)
        else:
            remedy = "make it faster, or raise latency_seconds_max of the task"
            yield failed(ID, f"it took {took}, and its budget is {budget:g} s", remedy, run.subject, **measured)
    if not round_.runs:
        yield not_applicable(ID, "no sample was run")


CHECK = Check(ID, "response time is within budget", look, point="9")
