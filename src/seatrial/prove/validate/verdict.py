"""All findings about one thing, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seatrial.prove.finding import Finding, Outcome
from seatrial.prove.validate.kinds import Kind


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was looked at and what was found, in the order of the checks."""

    name: str
    kind: Kind
    findings: tuple[Finding, ...]

    @property
    def is_valid(self) -> bool:
        """True when no check failed. Warnings do not count."""
        return all(one.outcome is not Outcome.FAILED for one in self.findings)

    @property
    def reason(self) -> str:
        """Why it is not valid: the first failure's message; empty when it is valid."""
        return next((one.message for one in self.findings if one.outcome is Outcome.FAILED), "")

    def told(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "file": self.name,
            "kind": self.kind.value,
            "valid": self.is_valid,
            "reason": self.reason,
            "findings": [one.told() for one in self.findings],
        }
