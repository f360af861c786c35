"""What a round found out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from seatrial.prove.finding import Finding, Outcome
from seatrial.prove.verify.check import Line
from seatrial.prove.verify.plan import Plan
from seatrial.prove.verify.round import SampleRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All lines in their order. `began_at` in seconds since the epoch."""

    plan: Plan
    began_at: float
    seconds: float
    invocations: int
    lines: tuple[Line, ...]
    runs: tuple[SampleRun, ...]

    @property
    def failed(self) -> list[Line]:
        """Lines that failed."""
        return [line for line in self.lines if line.finding.outcome is Outcome.FAILED]

    @property
    def passed(self) -> bool:
        """Nothing failed."""
        return not self.failed

    def count(self, outcome: Outcome) -> int:
        """How many lines ended so."""
        return sum(line.finding.outcome is outcome for line in self.lines)

    @property
    def began(self) -> str:
        """When, as RFC 3339 in UTC."""
        return datetime.fromtimestamp(self.began_at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

    @property
    def verdict(self) -> str:
        """One line that says it all."""
        counts = (
            f"{self.count(Outcome.OK)} passed, {self.count(Outcome.FAILED)} failed, "
            f"{self.count(Outcome.WARNING)} warnings, {self.count(Outcome.NOT_APPLICABLE)} not applicable"
        )
        word = "verified" if self.passed else "NOT verified"
        return f"{word}: {counts}, {self.invocations} invocations, {self.seconds:.1f} s"

    def suites(self) -> list[tuple[str, Sequence[Finding]]]:
        """Findings by what they are about, for JUnit."""
        found: dict[str, list[Finding]] = {}
        for line in self.lines:
            found.setdefault(line.subject or "endpoint", []).append(line.finding)
        return list(found.items())

    def told(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "target": self.plan.target,
            "wire": self.plan.wire,
            "passed": self.passed,
            "began_at": self.began,
            "seconds": round(self.seconds, 3),
            "invocations": self.invocations,
            "plan": self.plan.told(),
            "checks": [line.told() for line in self.lines],
        }
