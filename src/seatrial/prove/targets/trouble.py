"""What may go wrong with a target, told apart by what it means for a verdict."""

from __future__ import annotations

from seatrial.prove.targets.answer import Failure


class TargetTrouble(Exception):
    """Something about the target; the message says what, `remedy` what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class BadTarget(TargetTrouble):
    """The words that name a target are not understood, or a library for its wire is missing."""


class Unreachable(TargetTrouble):
    """No server answers, or its answer was cut short."""


class Forbidden(TargetTrouble):
    """The server refuses these credentials, or they lack a permission."""


class NotOffered(TargetTrouble):
    """This wire, or this server, has no such thing; the message is the reason."""


class CannotSend(TargetTrouble):
    """A request cannot be spelled on this wire."""


class Unknown(TargetTrouble):
    """The server says that it has no such job or endpoint. `structured`: in words that a program can read."""

    def __init__(self, message: str, structured: bool = True, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.structured = structured


class LeftService(TargetTrouble):
    """The endpoint was in service, and is not any more."""


class Refused(TargetTrouble):
    """The server said no to a request at once, before there was a job."""

    def __init__(self, status: int, failure: Failure) -> None:
        super().__init__(failure.message or f"HTTP {status}", failure.remedy)
        self.status = status
        self.failure = failure
