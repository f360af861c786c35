"""Is there anything new in the failure location since the round began?"""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.prove.targets.trouble import TargetTrouble
from seatrial.prove.verify.check import Check, Line, failed, ok, warned
from seatrial.prove.verify.round import Round

ID = "failures.none_new"
NAMED_MAX = 5


def look(round_: Round) -> Iterator[Line]:
    """Looked at before any bad request is sent. Failures of other clients' requests are a warning."""
    before = round_.failures_before
    if isinstance(before, TargetTrouble):
        raise before
    new = round_.target.failures() - before
    own = {round_.target.failure_of(ticket) for ticket in round_.tickets}
    ours, others = sorted(new & own), sorted(new - own)
    if ours:
        yield failed(ID, f"failures of the samples: {_named(ours)}", "read them: they say why", new=len(ours))
    elif others:
        remedy = "read them: other clients' requests failed meanwhile"
        yield warned(ID, f"failures of others' requests: {_named(others)}", remedy, new=len(others))
    else:
        yield ok(ID, f"nothing new beside {len(before):,} that were there", before=len(before), new=0)


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return ", ".join(names[:NAMED_MAX]) + more


CHECK = Check(ID, "nothing new lies in the failure location", look, point="7")
