"""Is a task that does not exist refused in words that a program can read?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from seatrial.prove.contract import Contract
from seatrial.prove.verify.check import Check, Line, not_applicable
from seatrial.prove.verify.refusals import refusal
from seatrial.prove.verify.round import Round

ID = "refusals.wrong_task"
NO_TASK = "no-such-task"


def why_not(wire: str, contract: Contract) -> str:
    """Why no request of this wire could name a wrong task; empty: one can."""
    task, _ = next(contract.samples(), (None, None))
    if task is None:
        return "the contract has no sample to change"
    if wire in ("cog", "studio"):
        return f"requests of the {wire} protocol name no task"
    if contract.task_field is None and not (wire == "seatrial" and task.name):
        return "requests name no task here: the contract has no task_field"
    return ""


def look(round_: Round) -> Iterator[Line]:
    """A sample's request with another task's name."""
    reason = why_not(round_.target.wire, round_.contract)
    if reason:
        yield not_applicable(ID, reason)
        return
    task, sample = next(round_.contract.samples())
    request = round_.contract.request(task, sample)
    yield refusal(round_, ID, replace(request, task=NO_TASK), f"the task {NO_TASK!r}")


CHECK = Check(ID, "a wrong task name is refused with a structured error", look)
