"""Does an answer fit its task's output?"""

from __future__ import annotations

from math import isfinite
from typing import Any

from jsonschema.protocols import Validator

from seatrial.domain.checking.compiled import once_for_each
from seatrial.domain.checking.schemas import compiled, complaints
from seatrial.domain.contract import Task
from seatrial.domain.errors import OUTPUT_CONTRACT, SeatrialError


def check_answer(task: Task, answer: Any) -> None:
    """Check a JSON answer, as clients will see it, against the task's schema. NaN and Infinity are no JSON.

    Raises:
        SeatrialError: output_contract, naming the path and what was expected; all of it in `details["problems"]`.
    """
    where = not_finite_at(answer)
    if where is not None:
        raise refused(task, [(where, "must be a finite number: NaN and Infinity are not JSON")])
    validator = _validator(task)
    found = [] if validator is None else complaints(validator, answer)
    if found:
        raise refused(task, found)


def refused(task: Task, found: list[tuple[str, str]]) -> SeatrialError:
    """The output_contract error for these (path, what must be); at least one."""
    path, wanted = found[0]
    problems = [{"field": at, "message": f"{at or 'the answer'} {what}"} for at, what in found]
    rest = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return SeatrialError(
        OUTPUT_CONTRACT,
        f"The answer of task {task.name!r} breaks its contract: {path or 'the answer'} {wanted}{rest}",
        field=path or None,
        details={"task": task.name, "problems": problems},
    )


def not_finite_at(value: Any) -> str | None:
    """The path of the first number that is not finite; None: there is none. Keeps its own stack."""
    pending: list[tuple[Any, tuple[Any, ...] | None]] = [(value, None)]
    while pending:
        one, trail = pending.pop()
        if isinstance(one, float):
            if not isfinite(one):
                return _path(trail)
        elif isinstance(one, dict):
            pending.extend((inner, (name, trail)) for name, inner in one.items() if isinstance(inner, _DEEP))
        elif isinstance(one, list):
            pending.extend((inner, (at, trail)) for at, inner in enumerate(one) if isinstance(inner, _DEEP))
    return None


_DEEP = (float, dict, list)


def _path(trail: tuple[Any, ...] | None) -> str:
    steps: list[str] = []
    while trail is not None:
        step, trail = trail
        steps.append(str(step))
    return "/".join(reversed(steps))


@once_for_each
def _validator(task: Task) -> Validator | None:
    return None if task.output.schema is None else compiled(task.output.schema)
