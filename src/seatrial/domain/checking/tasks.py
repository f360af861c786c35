"""Which task a request asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.domain.checking.problems import Problem, bad_input
from seatrial.domain.contract import Contract, Task
from seatrial.domain.errors import INVALID_FIELD, MISSING_FIELD, UNKNOWN_TASK, BadInput
from seatrial.domain.limits import VALUE_SHOWN_CHARS_MAX


def resolve_task(contract: Contract, named: str | None, payload: Mapping[str, Any] | None) -> Task:
    """The task that is asked for, by name or alias.

    `named` (a header or a query) wins over the payload's task field. The only task may be left unnamed.

    Raises:
        BadInput: unknown_task, missing_field (several tasks and none named), invalid_field (not a string).
    """
    name = named if named is not None else (payload or {}).get(contract.task_field)
    if name is None:
        if len(contract.tasks) == 1:
            return contract.tasks[0]
        raise _refused(contract, MISSING_FIELD, f"No task is named in {contract.task_field!r}.")
    if not isinstance(name, str):
        raise _refused(contract, INVALID_FIELD, f"{contract.task_field!r} must be a task's name, a string.")
    task = contract.task(name)
    if task is None:
        shown = name if len(name) <= VALUE_SHOWN_CHARS_MAX else name[:VALUE_SHOWN_CHARS_MAX] + "…"
        raise _refused(contract, UNKNOWN_TASK, f"Unknown task: {shown}.")
    return task


def tasks_in_words(contract: Contract) -> str:
    """`get_embedding (also: initialization), generate_3d`."""
    named = (one.name + (f" (also: {', '.join(one.aliases)})" if one.aliases else "") for one in contract.tasks)
    return ", ".join(named)


def _refused(contract: Contract, error_type: str, what: str) -> BadInput:
    valid = tasks_in_words(contract)
    return bad_input([Problem(error_type, contract.task_field, f"{what} Valid tasks: {valid}", valid)])
