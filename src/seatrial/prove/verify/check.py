"""What a line of the checklist is, and how troubles become findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from seatrial.prove.finding import Finding, Outcome
from seatrial.prove.targets.trouble import NotOffered, TargetTrouble
from seatrial.prove.verify.round import Round


@dataclass(frozen=True, slots=True)
class Line:
    """A finding and what it is about: a task's sample, or "" for the deployment as a whole."""

    finding: Finding
    subject: str = ""

    def told(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {**self.finding.told(), "subject": self.subject}


class Needs(Enum):
    """Without what a check asks nothing."""

    NOTHING = auto()
    ENDPOINT = auto()  # there is one of that name
    SERVICE = auto()  # and it is in service


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `point` is its number in the ten-point list of docs/reference/verify.md, if it answers one of them."""

    id: str
    title: str
    look: Callable[[Round], Iterable[Line]]
    point: str = ""
    needs: Needs = Needs.SERVICE

    def lines(self, round_: Round) -> list[Line]:
        """Every line of it; a trouble with the target is a line too."""
        if self.needs is Needs.SERVICE and not round_.in_service:
            return [not_applicable(self.id, "not looked at: the endpoint is not in service")]
        if self.needs is Needs.ENDPOINT and round_.description is None:
            return [not_applicable(self.id, "not looked at: there is no such endpoint")]
        try:
            return list(self.look(round_))
        except NotOffered as reason:
            return [Line(Finding(self.id, Outcome.NOT_APPLICABLE, str(reason)))]
        except TargetTrouble as trouble:
            return [Line(Finding(self.id, Outcome.FAILED, str(trouble), trouble.remedy))]


def ok(check_id: str, message: str, subject: str = "", **measured: Any) -> Line:
    """A line that passed."""
    return Line(Finding(check_id, Outcome.OK, message, measured=measured), subject)


def failed(check_id: str, message: str, remedy: str, subject: str = "", **measured: Any) -> Line:
    """A line that failed."""
    return Line(Finding(check_id, Outcome.FAILED, message, remedy, measured), subject)


def warned(check_id: str, message: str, remedy: str, subject: str = "", **measured: Any) -> Line:
    """A line that is worth a look."""
    return Line(Finding(check_id, Outcome.WARNING, message, remedy, measured), subject)


def not_applicable(check_id: str, reason: str, subject: str = "") -> Line:
    """A line that has nothing to say, and why."""
    return Line(Finding(check_id, Outcome.NOT_APPLICABLE, reason), subject)
