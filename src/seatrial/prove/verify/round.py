"""One round of verifying: what its checks share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from seatrial.prove.contract import Contract, Sample, Task
from seatrial.prove.limits import LATENCY_SECONDS_DEFAULT, SERVICE_LOOK_SECONDS, SERVICE_LOOKS_FAILED_MAX
from seatrial.prove.request import Request
from seatrial.prove.targets.answer import Answer, State
from seatrial.prove.targets.target import Description, Target, Ticket
from seatrial.prove.targets.trouble import LeftService, TargetTrouble, Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`latency_seconds` is the budget of a first-stage task without one of its own. `keep`: inputs are left there."""

    latency_seconds: float = LATENCY_SECONDS_DEFAULT
    keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRun:
    """One sample that was run. `cold`: no worker was there, so its time tells of the start."""

    task: Task
    sample: Sample
    answer: Answer | None  # None: it did not even begin; `trouble` says why
    trouble: TargetTrouble | None = None
    ticket: Ticket | None = None
    seconds: float = 0.0
    cold_seconds: float | None = None

    @property
    def subject(self) -> str:
        """What lines about it are called."""
        return f"{self.task.name or 'any'}/{self.sample.name}"


@dataclass(slots=True)
class Round:
    """Filled as the checks go on, in the order of the checklist."""

    target: Target
    contract: Contract
    settings: Settings
    progress: Callable[[str], None]
    began_at: float = field(default_factory=time.time)  # seconds since the epoch
    description: Description | None = None
    in_service: bool = False
    failures_before: frozenset[str] | TargetTrouble = frozenset()
    runs: list[SampleRun] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)
    answered_at: float = 0.0  # when the last sample was answered; bad requests came later
    invocations: int = 0
    waited_seconds: float = 0.0  # for the first worker

    def submit(self, task: Task, sample: Sample) -> Ticket:
        """Send a sample; it counts, and is cleaned up at the end."""
        return self.send(self.contract.request(task, sample))

    def send(self, request: Request) -> Ticket:
        """Send any request."""
        self.invocations += 1
        ticket = self.target.submit(request)
        self.tickets.append(ticket)
        return ticket

    def wait(self, ticket: Ticket, seconds: float) -> Answer:
        """The end of a request, or `pending`.

        Raises:
            LeftService: meanwhile the endpoint left service: no answer is to be expected.
        """
        give_up = time.monotonic() + seconds
        reasons: list[str] = []
        while True:
            left = max(give_up - time.monotonic(), 0.0)
            answer = self.target.wait(ticket, min(left, SERVICE_LOOK_SECONDS))
            if answer.state is not State.PENDING or left <= SERVICE_LOOK_SECONDS:
                return answer
            reason = self._out_of_service()
            reasons = [*reasons, reason] if reason else []
            if len(reasons) >= SERVICE_LOOKS_FAILED_MAX:
                self.in_service = False
                words = f"no answer after {answer.seconds:.0f} s, and the endpoint left service: {reason}"
                raise LeftService(words, "see why in its log, and deploy it again")

    def _out_of_service(self) -> str:
        """Why it is in service no longer; empty: it is, or is on its way there, or does not tell."""
        try:
            told = self.target.describe()
        except Unknown as unknown:
            return f"there is no such endpoint any more: {unknown}"
        except TargetTrouble:
            return ""
        if told.in_service or told.starting:
            return ""
        return f"{told.name} is {told.status}" + (f": {told.reason}" if told.reason else "")
