"""What each request gives when it runs alone: the measure of everything that follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from seatrial.prove.finding import Finding
from seatrial.prove.stress.content import Content, content_of, differing, faults_of
from seatrial.prove.stress.variants import Variant
from seatrial.prove.targets.answer import Answer, State

Alone = Callable[[Variant], Answer]  # sends one request while nothing else is under way, and waits for its end


class BaselineFailed(Exception):
    """A request fails even alone: that is no race; the message says how."""


@dataclass(slots=True)
class Baseline:
    """`varying` are the paths that differed between runs alone; `faults` what is wrong with the output even so."""

    variant: Variant
    content: Content
    seconds: float
    varying: set[str] = field(default_factory=set)
    faults: list[Finding] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)

    def differing(self, content: Content) -> list[str]:
        """Where an answer to the same request is not what it was alone."""
        return differing(self.content, content, self.variant.task.output, frozenset(self.varying))

    @property
    def is_fixed(self) -> bool:
        """Whether runs alone agreed in everything."""
        return not self.varying


def baselines_of(
    variants: Sequence[Variant], repeats: int, alone: Alone, done: Callable[[], None]
) -> dict[str, Baseline]:
    """By the variants' names. All of them in turn, `repeats` times, so that each follows others.

    Raises:
        BaselineFailed: a request does not succeed alone.
        MissingLibrary: looking at the outputs needs the extra `validate`.
    """
    found: dict[str, Baseline] = {}
    for _ in range(repeats):
        for variant in variants:
            answer = succeeded(alone(variant), variant)
            content = content_of(answer)
            known = found.get(variant.name)
            if known is None:
                faults = faults_of(answer, variant)
                known = found[variant.name] = Baseline(variant, content, answer.seconds, faults=faults)
            else:
                known.varying.update(known.differing(content))
                known.seconds = min(known.seconds, answer.seconds)
            known.digests.update(part.sha256 for part in content.parts.values())
            done()
    return found


def crossed_alone(baselines: Mapping[str, Baseline]) -> list[str]:
    """Requests that gave, alone, what another one gave: something of one is left for the next, without any load."""
    owners: dict[str, set[str]] = {}
    for one in baselines.values():
        for digest in one.digests:
            owners.setdefault(digest, set()).add(one.variant.name)
    return [
        f"{one.variant.name}: gave different objects when it was sent twice, one of them that of {others[0]!r}"
        for one in baselines.values()
        if not one.is_fixed
        for digest in sorted(one.digests)
        if (others := sorted(owners[digest] - {one.variant.name}))
    ]


def succeeded(answer: Answer, variant: Variant) -> Answer:
    """The answer, if it is one. Raises BaselineFailed."""
    if answer.state is not State.SUCCEEDED:
        words = "no end in time" if answer.state is State.PENDING else answer.words
        raise BaselineFailed(f"{variant.name}, sent alone: {words}")
    if not answer.parts or not answer.parts[0].data:
        raise BaselineFailed(f"{variant.name}, sent alone, succeeds without any output")
    return answer
