"""What a round takes, told before anything is asked: permissions, and how many invocations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.prove.contract import Contract
from seatrial.prove.targets.target import Target
from seatrial.prove.targets.trouble import TargetTrouble
from seatrial.prove.verify.checklist import CHECKLIST
from seatrial.prove.verify.checks import wrong_task


@dataclass(frozen=True, slots=True)
class Plan:
    """`invocations` are at least; a cold start takes one more. `requests` says which."""

    target: str
    wire: str
    permissions: tuple[str, ...]
    requests: tuple[str, ...]
    checks: tuple[tuple[str, str, str], ...]  # id, title, number in the ten-point list

    @property
    def invocations(self) -> int:
        """How many requests the endpoint is sent."""
        return len(self.requests)

    @property
    def invocations_max(self) -> int:
        """The same, when it is cold."""
        return len(self.requests) + 1

    def told(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "target": self.target,
            "wire": self.wire,
            "permissions": list(self.permissions),
            "invocations": self.invocations,
            "invocations_max": self.invocations_max,
            "requests": list(self.requests),
            "checks": [{"id": id_, "title": title, "point": point or None} for id_, title, point in self.checks],
        }


def plan_of(target: Target, contract: Contract) -> Plan:
    """The plan of a round. Asks the target nothing but where its inputs would go."""
    requests = [f"{task.name} {sample.name}".strip() for task, sample in contract.samples()]
    if not wrong_task.why_not(target.wire, contract):
        requests.append("a wrong task name")
    requests.append("a malformed input")
    return Plan(
        target=target.name,
        wire=target.wire,
        permissions=tuple(_permissions(target)),
        requests=tuple(requests),
        checks=tuple((one.id, one.title, one.point) for one in CHECKLIST),
    )


def _permissions(target: Target) -> Sequence[str]:
    try:
        return target.needs()
    except TargetTrouble as trouble:
        return [f"not known: {trouble}"]
