"""Is the wire's health question answered well?"""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.prove.verify.check import Check, Line, Needs, failed, ok
from seatrial.prove.verify.round import Round

ID = "endpoint.health"


def look(round_: Round) -> Iterator[Line]:
    """What was asked, and what was answered."""
    told = round_.target.health()
    shown = dict(told.evidence)
    yield ok(ID, told.words, **shown) if told.well else failed(ID, told.words, "see the server's log", **shown)


CHECK = Check(ID, "its health check answers", look, point="2", needs=Needs.ENDPOINT)
