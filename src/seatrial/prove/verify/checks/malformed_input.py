"""Is a broken request refused in words that a program can read, and does the endpoint live on?"""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.prove.request import Request
from seatrial.prove.verify.check import Check, Line, failed
from seatrial.prove.verify.refusals import refusal
from seatrial.prove.verify.round import Round

ID = "refusals.malformed_input"
BROKEN = b'{"task": "broken", "image": '


def look(round_: Round) -> Iterator[Line]:
    """JSON that is cut off; afterwards the server is asked again whether the endpoint serves."""
    yield refusal(round_, ID, Request(input=BROKEN, label="malformed"), "JSON that is cut off")
    after = round_.target.describe()
    if not after.in_service:
        words = f"after it the endpoint is {after.status}: {after.reason}"
        yield failed(ID, words, "no request may take an endpoint out of service")


CHECK = Check(ID, "a malformed input is refused with a structured error", look)
