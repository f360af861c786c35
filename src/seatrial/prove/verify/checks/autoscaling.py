"""Is automatic scaling configured as it is declared?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seatrial.prove.contract import Autoscaling
from seatrial.prove.targets.target import Scaling
from seatrial.prove.targets.trouble import NotOffered
from seatrial.prove.verify.check import Check, Line, failed, not_applicable, ok, warned
from seatrial.prove.verify.round import Round

ID = "scaling.configured"
FROM_ZERO = "HasBacklogWithoutCapacity"


def look(round_: Round) -> Iterator[Line]:
    """Without a declaration what is registered is only told."""
    declared = round_.contract.autoscaling
    try:
        registered = round_.target.scaling()
    except NotOffered as reason:
        yield not_applicable(ID, str(reason))
        return
    if not registered:
        if declared is None:
            yield not_applicable(ID, "none is declared in the contract, and none is registered")
        else:
            yield failed(ID, "declared in the contract, and nothing is registered", "register a scalable target")
        return
    wrong = list(_differences(declared, registered)) if declared else []
    told = "; ".join(_words(one) for one in registered)
    if wrong:
        yield failed(ID, f"{'; '.join(wrong)} (registered: {told})", "register what is declared, or declare what is")
    else:
        yield from _doubts(registered, told)


def _doubts(registered: Sequence[Scaling], told: str) -> Iterator[Line]:
    idle = [one.resource for one in registered if not one.policies]
    asleep = [one for one in registered if one.minimum == 0 and one.policies and not _wakes(one)]
    if idle:
        yield failed(ID, f"{', '.join(idle)} has limits and no policy: it never scales", "attach a scaling policy")
    elif asleep:
        words = f"{told}: no policy on {FROM_ZERO}: requests wait at zero instances until the backlog is large"
        yield warned(ID, words, f"add a step scaling policy on {FROM_ZERO}")
    else:
        yield ok(ID, told)


def _differences(declared: Autoscaling, registered: Sequence[Scaling]) -> Iterator[str]:
    for one in registered:
        for word, wanted, found in (
            ("minimum", declared.minimum, one.minimum),
            ("maximum", declared.maximum, one.maximum),
        ):
            if wanted is not None and wanted != found:
                yield f"{one.resource}: {word} is {found}, declared {wanted}"


def _wakes(one: Scaling) -> bool:
    return any(FROM_ZERO.lower() in metric.lower() for metric in (*one.metrics, *one.policies)) or len(one.policies) > 1


def _words(one: Scaling) -> str:
    return f"{one.resource}: {one.minimum} to {one.maximum}, policies {', '.join(one.policies) or 'none'}"


CHECK = Check(ID, "automatic scaling is configured, where declared", look, point="10")
