"""A worker that pulls from elsewhere: what it holds, and when it was last heard of."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum

from seatrial.domain.commands import Claim
from seatrial.domain.contract import Contract
from seatrial.engine.timeouts import HandlerLimit


class StopReason(StrEnum):
    """Why a guest is asked to stop with a job."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"


@dataclass(slots=True)
class Held:
    """One claim of a guest, in a session of its own. Times are on the monotonic clock, in milliseconds."""

    claim: Claim
    session: str
    contract: Contract
    task: str | None
    limit: HandlerLimit
    timeout_ms: int
    handed_ms: int
    handed_at_ms: int  # since the epoch
    seen: bool = False  # the guest has said that it is at work on it
    stop: StopReason | None = None
    stop_ms: int = 0
    stop_told: bool = False
    ending: bool = False  # its outcome is being committed, or it is being given up
    over: asyncio.Event = field(default_factory=asyncio.Event)
    chunks: list[bytes] = field(default_factory=list)
    chunk_bytes: int = 0


@dataclass(slots=True)
class Guest:
    """`spare` is an open session without a claim, and the version that it is for."""

    endpoint_name: str
    worker_id: str
    heard_ms: int
    spare: tuple[str, str] | None = None
    held: dict[str, Held] = field(default_factory=dict)  # by job
    asking: int = 0  # calls for work that are open
    turn: int = 0  # counts its calls for work: only the last one is answered
    pings: bool = False
    unhealthy: str | None = None

    @property
    def bell(self) -> str:
        """What is rung when it is asked to stop with something."""
        return f"outside:{self.endpoint_name}:{self.worker_id}"
