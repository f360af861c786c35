"""Was a deployment without a worker waited for, and did it start in time?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from seatrial.prove.verify.check import Check, Line, failed, not_applicable, ok
from seatrial.prove.verify.round import Round

ID = "endpoint.cold_start"


def look(round_: Round) -> Iterator[Line]:
    """Told after the samples ran: how long the first of them waited for a worker."""
    told, limit = round_.description, round_.contract.cold_start_seconds
    cold = next((run for run in round_.runs if run.cold_seconds is not None), None)
    if cold is not None and cold.cold_seconds is not None:
        total = cold.cold_seconds + round_.waited_seconds
        words = f"the first answer came after {total:.1f} s, start of a worker included; {limit:g} s are allowed"
        measured: dict[str, Any] = {"cold_start_seconds": round(total, 3), "cold_start_seconds_max": limit}
        if cold.answer is None or total > limit:
            yield failed(ID, words, "declare cold_start_seconds, or keep a worker", **measured)
        else:
            yield ok(ID, words, **measured)
    elif round_.waited_seconds:
        yield ok(ID, f"it started within {round_.waited_seconds:.1f} s", waited_seconds=round(round_.waited_seconds, 3))
    elif told is not None and told.workers_ready:
        yield ok(ID, f"warm: {told.workers_ready} ready, nothing to wait for", workers_ready=told.workers_ready)
    elif round_.runs:
        yield ok(ID, f"the first answer came within its budget; up to {limit:g} s would have been waited for")
    else:
        yield not_applicable(ID, "no sample was run")


CHECK = Check(ID, "a cold start is waited for", look)
