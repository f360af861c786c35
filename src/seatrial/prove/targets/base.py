"""What wires have in common: looking again and again, and saying what they lack."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Self

from seatrial.prove.contract import Contract
from seatrial.prove.limits import POLL_SECONDS_MAX, POLL_SECONDS_MIN
from seatrial.prove.request import Request
from seatrial.prove.targets.answer import Answer, State
from seatrial.prove.targets.target import Cleaned, LogLine, Scaling, Ticket
from seatrial.prove.targets.trouble import NotOffered


class Wire:
    """A target that offers nothing but what its class adds. `lacks` are reasons by operation."""

    wire = ""
    name = ""
    url = ""
    inputs_inside = "inputs travel inside of the requests: nothing was stored"

    def contract(self) -> Contract | None:
        return None

    def calls_back(self, request: Request) -> bool:
        return True

    def logs(self, since: float, until: float | None = None) -> Sequence[LogLine]:
        raise NotOffered(f"the {self.wire} protocol has no logs")

    def failures(self) -> frozenset[str]:
        raise NotOffered(f"the {self.wire} protocol has no failure location")

    def failure_of(self, ticket: Ticket) -> str:
        return ticket.id

    def scaling(self) -> Sequence[Scaling]:
        raise NotOffered(f"the {self.wire} protocol does not tell how it scales")

    def cancel(self, ticket: Ticket) -> None:
        raise NotOffered(f"the {self.wire} protocol has no cancel")

    def status(self, job_id: str) -> str:
        raise NotOffered(f"the {self.wire} protocol has no status of a job")

    def clean(self, tickets: Sequence[Ticket]) -> Cleaned:
        return Cleaned(reason=self.inputs_inside)

    def close(self) -> None:
        """Nothing to let go of."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def poll(ticket: Ticket, seconds: float, look: Callable[[], Answer | None]) -> Answer:
    """Look until there is an answer or the time is over, more slowly as time goes on."""
    give_up = time.monotonic() + seconds
    pause = POLL_SECONDS_MIN
    while True:
        answer = look()
        if answer is not None:
            return answer
        left = give_up - time.monotonic()
        if left <= 0:
            return Answer(state=State.PENDING, seconds=elapsed(ticket), evidence={"id": ticket.id})
        time.sleep(min(pause, left))
        pause = min(pause * 1.2, POLL_SECONDS_MAX)


def elapsed(ticket: Ticket) -> float:
    """Seconds since the request was sent."""
    return time.monotonic() - ticket.submitted_at
