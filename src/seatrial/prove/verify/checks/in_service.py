"""Does the server say that the endpoint is in service? One that is still starting is waited for."""

from __future__ import annotations

import time
from collections.abc import Iterator

from seatrial.prove.limits import POLL_SECONDS_MAX
from seatrial.prove.targets.target import Description
from seatrial.prove.targets.trouble import Unknown
from seatrial.prove.verify.check import Check, Line, Needs, failed, ok
from seatrial.prove.verify.round import Round

ID = "endpoint.in_service"


def look(round_: Round) -> Iterator[Line]:
    """The status in the server's own word, and its reason."""
    try:
        told = _settled(round_)
    except Unknown as unknown:
        yield failed(ID, f"there is no such endpoint: {unknown}", "is its name right, and the region or the server?")
        return
    round_.description, round_.in_service = told, told.in_service
    shown = dict(told.evidence)
    if told.in_service:
        unproven = ", unproven: deployed without a sample of every task" if told.unproven else ""
        yield ok(ID, f"{told.name} is {told.status}{unproven}", **shown)
    else:
        reason = f": {told.reason}" if told.reason else ""
        yield failed(ID, f"{told.name} is {told.status}{reason}", "see why in its log, and deploy it again", **shown)


def _settled(round_: Round) -> Description:
    """The description once the endpoint no longer starts, or when the time for that is over."""
    give_up = time.monotonic() + round_.contract.cold_start_seconds
    began = time.monotonic()
    told = round_.target.describe()
    while told.starting and time.monotonic() < give_up:
        round_.progress(f"waiting for {told.name}: {told.status}")
        time.sleep(POLL_SECONDS_MAX)
        told = round_.target.describe()
        round_.waited_seconds = time.monotonic() - began
    return told


CHECK = Check(ID, "the endpoint is in service", look, point="1", needs=Needs.NOTHING)
