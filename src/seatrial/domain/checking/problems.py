"""What is wrong with a request: all of it, first things first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seatrial.domain.errors import BadInput
from seatrial.domain.limits import PROBLEMS_LISTED_MAX


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `field` is a field's name, with the path inside its value after a slash."""

    error_type: str
    field: str
    message: str
    valid: str | None = None

    def told(self) -> dict[str, str]:
        """As plain data, for a failure document."""
        plain = {"error_type": self.error_type, "field": self.field, "message": self.message}
        return plain if self.valid is None else plain | {"valid": self.valid}


def refuse(problems: Sequence[Problem]) -> None:
    """Nothing when there are no problems.

    Raises:
        BadInput: the first problem, with all of them (bounded) in `details["problems"]`.
    """
    if problems:
        raise bad_input(problems)


def bad_input(problems: Sequence[Problem]) -> BadInput:
    """The error that tells of these problems; at least one is there."""
    first = problems[0]
    told = [one.told() for one in problems[:PROBLEMS_LISTED_MAX]]
    return BadInput(first.error_type, first.message, field=first.field, valid=first.valid, details={"problems": told})
