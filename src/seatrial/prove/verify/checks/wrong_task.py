"""Is a task that does not exist refused in words that a program can read?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from seatrial.prove.verify.check import Check, Line, not_applicable
from seatrial.prove.verify.refusals import refusal
from seatrial.prove.verify.round import Round

ID = "refusals.wrong_task"
NO_TASK = "no-such-task"


def look(round_: Round) -> Iterator[Line]:
    """A sample's request with another task's name."""
    task, sample = next(round_.contract.samples(), (None, None))
    if task is None or sample is None:
        yield not_applicable(ID, "the contract has no sample to change")
        return
    request = round_.contract.request(task, sample)
    names_it_elsewhere = round_.target.wire == "seatrial" and task.name
    if round_.contract.task_field is None and not names_it_elsewhere:
        yield not_applicable(ID, "requests name no task here: the contract has no task_field")
        return
    if round_.target.wire in ("cog", "studio"):
        yield not_applicable(ID, f"requests of the {round_.target.wire} protocol name no task")
        return
    yield refusal(round_, ID, replace(request, task=NO_TASK), f"the task {NO_TASK!r}")


CHECK = Check(ID, "a wrong task name is refused with a structured error", look)
