"""Canaries: samples that a version in service runs again, and what came of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from seatrial.domain.delivery import Delivery, DeliveryState, Target, delivery_id
from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.history import EndpointEvent, EventKind


class CanaryState(StrEnum):
    """What a canary is."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # it could not be run, which is not held against the version


class CanaryCause(StrEnum):
    """Why there is one."""

    SCHEDULE = "schedule"
    ASKED = "asked"
    CHANGE = "change"  # of what the version runs on, since it was proved


@dataclass(frozen=True, slots=True)
class Canary:
    """One canary. `runs` have `task`, `sample`, `job_id`, `state` and `seconds`. Times are ms since the epoch."""

    id: str
    version_id: str
    cause: CanaryCause
    state: CanaryState
    started_at_ms: int
    ended_at_ms: int | None = None
    message: str = ""
    runs: tuple[Mapping[str, Any], ...] = ()
    changed: tuple[str, ...] = ()  # what the version ran on otherwise when it was proved, for people

    def event(self, endpoint_id: str) -> EndpointEvent:
        """How an ended one is kept in the history of its endpoint."""
        details: dict[str, Any] = {
            "cause": self.cause.value,
            "started_at_ms": self.started_at_ms,
            "runs": list(self.runs),
        }
        details |= {"changed": list(self.changed)}
        at_ms = self.ended_at_ms or self.started_at_ms
        return EndpointEvent(
            self.id, endpoint_id, self.version_id, at_ms, EventKind.CANARY, self.state.value, self.message, details
        )

    @classmethod
    def of_event(cls, event: EndpointEvent) -> Canary:
        """What `event` made."""
        return cls(
            id=event.id,
            version_id=event.version_id or "",
            cause=CanaryCause(event.details["cause"]),
            state=CanaryState(event.word),
            started_at_ms=event.details["started_at_ms"],
            ended_at_ms=event.at_ms,
            message=event.message,
            runs=tuple(event.details["runs"]),
            changed=tuple(event.details["changed"]),
        )


def canary_deliveries(canary: Canary, version: EndpointVersion, targets: Sequence[Target]) -> tuple[Delivery, ...]:
    """What is told to these of an ended canary: `canary.failed` or `canary.passed`, one JSON document."""
    at_ms = canary.ended_at_ms or canary.started_at_ms
    event = f"canary.{canary.state}"
    failed = next((run["job_id"] for run in canary.runs if run["state"] != "succeeded"), None)
    data = {
        "canary_id": canary.id,
        "endpoint": version.endpoint_name,
        "version": version.number,
        "cause": canary.cause.value,
        "status": canary.state.value,
        "message": canary.message,
        "policy": version.settings.canary_policy.value,
        "job_id": failed,
        "runs": [dict(run) for run in canary.runs],
        "changed": list(canary.changed),
        "started_at": _instant(canary.started_at_ms),
        "ended_at": _instant(at_ms),
    }
    body = json.dumps({"type": event, "timestamp": data["ended_at"], "data": data}, ensure_ascii=False)
    return tuple(
        Delivery(
            id=delivery_id(canary.id, number),
            job_id=failed or "",
            endpoint_name=version.endpoint_name,
            target=target,
            event=event,
            body=body,
            state=DeliveryState.PENDING,
            tries=0,
            created_at_ms=at_ms,
            next_at_ms=at_ms,
        )
        for number, target in enumerate(targets, 1)
    )


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
