"""Explores every state that a model can reach, shortest ways first, as an explicit-state model checker does.

Breadth-first search with symmetry reduction: states that differ only in names are one state (Clarke, Emerson, Jha
and Sistla, "Symmetry reductions in model checking", 1998). After the search, every state must have a way to a state
that is `done`: what cannot end is stuck.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

S = TypeVar("S", bound=Hashable)
STUCK = "no way leads from here to an end"


class Model(Protocol[S]):
    """What can be explored."""

    def first(self) -> S:
        """Where everything begins."""
        ...

    def moves(self, state: S) -> Iterator[tuple[Any, S]]:
        """What can happen next: a label that `str` makes readable, and the state after it."""
        ...

    def canonical(self, state: S) -> S:
        """The same for all states that differ only in names."""
        ...

    def fault(self, before: S, after: S) -> str | None:
        """What is wrong with this step or with the state after it."""
        ...

    def done(self, state: S) -> bool:
        """True when nothing is left to do."""
        ...


@dataclass(frozen=True, slots=True)
class Counterexample(Generic[S]):
    """A shortest way to a fault: what happened, and each state after it."""

    fault: str
    steps: tuple[tuple[str, S], ...]

    def __str__(self) -> str:
        lines = [f"{number:3}. {label}" for number, (label, _) in enumerate(self.steps, 1)]
        return "\n".join([*lines, f"  => {self.fault}", f"     {self.steps[-1][1] if self.steps else ''}"])


@dataclass(frozen=True, slots=True)
class Explored(Generic[S]):
    """What a search found: how much there is, and the first fault."""

    states: int
    transitions: int
    counterexample: Counterexample[S] | None


class TooManyStates(Exception):
    """The model has more states than the search was allowed to visit."""


def explore(model: Model[S], states_max: int = 5_000_000) -> Explored[S]:
    """Visit every reachable state once.

    Raises:
        TooManyStates: more than `states_max` were found.
    """
    return _Search(model, states_max).run()


class _Search(Generic[S]):
    def __init__(self, model: Model[S], states_max: int) -> None:
        self._model = model
        self._states_max = states_max
        first = model.canonical(model.first())
        self._number = {first: 0}
        self._states = [first]
        self._reached_from = array("l", [-1])
        # Every transition, as two numbers: the backward search for stuck states follows them.
        self._sources = array("l")
        self._targets = array("l")

    def run(self) -> Explored[S]:
        found = self._forward() or self._stuck()
        return Explored(len(self._states), len(self._sources), found)

    def _forward(self) -> Counterexample[S] | None:
        moves, canonical, fault = self._model.moves, self._model.canonical, self._model.fault
        at = 0
        while at < len(self._states):
            state = self._states[at]
            for _, after in moves(state):
                known = self._visit(canonical(after), at)
                wrong = fault(state, after)
                if wrong is not None:
                    return self._counterexample(at, wrong, known)
            at += 1
        return None

    def _visit(self, state: S, source: int) -> int:
        number = self._number.setdefault(state, len(self._states))
        if number == len(self._states):
            if number == self._states_max:
                raise TooManyStates(f"more than {self._states_max:,} states")
            self._states.append(state)
            self._reached_from.append(source)
        self._sources.append(source)
        self._targets.append(number)
        return number

    def _stuck(self) -> Counterexample[S] | None:
        ways: list[list[int]] = [[] for _ in self._states]
        for source, target in zip(self._sources, self._targets, strict=True):
            ways[target].append(source)
        ends = [number for number, state in enumerate(self._states) if self._model.done(state)]
        can_end = bytearray(len(self._states))
        for number in ends:
            can_end[number] = 1
        while ends:
            for source in ways[ends.pop()]:
                if not can_end[source]:
                    can_end[source] = 1
                    ends.append(source)
        stuck = can_end.find(0)
        return None if stuck < 0 else self._counterexample(stuck, STUCK)

    def _counterexample(self, last: int, wrong: str, after: int | None = None) -> Counterexample[S]:
        way = [] if after is None else [after]
        while last >= 0:
            way.append(last)
            last = self._reached_from[last]
        return Counterexample(wrong, tuple(self._replayed([self._states[number] for number in reversed(way)], wrong)))

    def _replayed(self, way: Iterable[S], wrong: str) -> Iterator[tuple[str, S]]:
        """The same way with names that stay the same from step to step."""
        _, *rest = way
        state = self._model.first()
        for number, wanted in enumerate(rest, 1):
            label, state = self._step(state, wanted, wrong if number == len(rest) and wrong != STUCK else None)
            yield label, state

    def _step(self, state: S, wanted: S, wrong: str | None) -> tuple[str, S]:
        for label, after in self._model.moves(state):
            if self._model.canonical(after) == wanted and (wrong is None or self._model.fault(state, after)):
                return str(label), after
        raise AssertionError("a model whose moves are not the same for equivalent states")
