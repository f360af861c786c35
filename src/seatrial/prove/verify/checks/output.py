"""Is what each sample left there, whole, honest, as its contract says, and valid?"""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.prove.finding import Outcome
from seatrial.prove.outputs import CONTRACT, EXISTS, HONEST, IDS, VALID, WHOLE, judge
from seatrial.prove.targets.answer import State
from seatrial.prove.verify.check import Check, Line, not_applicable
from seatrial.prove.verify.round import Round

TITLES = {
    EXISTS: "the output object exists",
    WHOLE: "the output is whole",
    HONEST: "the output is no confession of failure",
    CONTRACT: "the output is what the contract says",
    VALID: "the output decodes and is sane",
}


def _look(check_id: str, round_: Round) -> Iterator[Line]:
    succeeded = [run for run in round_.runs if run.answer is not None and run.answer.state is State.SUCCEEDED]
    for run in succeeded:
        if run.answer is None:
            continue
        found = {one.id: one for one in judge(run.answer, run.task, run.sample)}
        stopped = next((one.id for one in found.values() if one.outcome is Outcome.FAILED), "")
        if check_id in found:
            yield Line(found[check_id], run.subject)
        else:
            yield not_applicable(check_id, f"not looked at, since {stopped} failed", run.subject)
    if not succeeded:
        yield not_applicable(check_id, "no sample has succeeded")


def _check(check_id: str) -> Check:
    return Check(check_id, TITLES[check_id], lambda round_: _look(check_id, round_), "6" if check_id == EXISTS else "")


CHECKS = tuple(_check(check_id) for check_id in IDS)
