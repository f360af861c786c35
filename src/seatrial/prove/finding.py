"""What one check found out about one thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"  # worth a look; the thing is still valid
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome. `id` names the check for ever; `measured` holds plain JSON values, units in their names."""

    id: str
    outcome: Outcome
    message: str
    remedy: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "id": self.id,
            "outcome": self.outcome.value,
            "message": self.message,
            "remedy": self.remedy,
            "measured": dict(self.measured),
        }
