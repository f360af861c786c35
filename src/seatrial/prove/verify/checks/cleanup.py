"""Are the inputs that verifying stored removed again?"""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.prove.verify.check import Check, Line, Needs, failed, not_applicable, ok
from seatrial.prove.verify.round import Round

ID = "inputs.cleaned_up"


def look(round_: Round) -> Iterator[Line]:
    """Also the outputs and failures of its own requests: a canary leaves nothing behind."""
    if round_.settings.keep:
        kept = sum(len(ticket.created) for ticket in round_.tickets)
        yield not_applicable(ID, f"left there, as asked: {kept} inputs")
        return
    cleaned = round_.target.clean(round_.tickets)
    if cleaned.left:
        words = f"{len(cleaned.left)} could not be removed, such as {cleaned.left[0]}: {cleaned.reason}"
        yield failed(ID, words, "remove them, and grant the permission", left=list(cleaned.left))
    elif cleaned.removed:
        yield ok(ID, f"{len(cleaned.removed)} objects removed", removed=list(cleaned.removed))
    else:
        yield not_applicable(ID, cleaned.reason or "nothing was stored")


CHECK = Check(ID, "its own inputs are cleaned up", look, needs=Needs.NOTHING)
