"""Every interleaving of a small world keeps the promises; take one guard away and one of them breaks."""

from __future__ import annotations

import pytest

from seatrial.domain.jobs import TRANSITIONS, JobEvent, JobState
from seatrial.testing.model.explorer import Explored, TooManyStates, explore
from seatrial.testing.model.guards import Guard, Publication
from seatrial.testing.model.moves import SmallWorld
from seatrial.testing.model.state import Budget, State

ROWS, COPIES = Publication.ROWS, Publication.COPIES
ONE_OF_EACH = Budget(server_kills=1, worker_kills=1, lapses=1, cancels=1)
GIVING_UP = Budget(server_kills=1, giveups=1)
QUIET = Budget()

# Where each guard is missed, and the promise that breaks without it.
MISSED = {
    Guard.TOKEN_CHECK: (SmallWorld(ROWS, servers=2, budget=ONE_OF_EACH), "I4"),
    Guard.WISH: (SmallWorld(COPIES), "I4"),
    Guard.DECISION_FIRST: (SmallWorld(COPIES), "I3"),
    Guard.PARTS_FIRST: (SmallWorld(COPIES), "I3"),
    Guard.VISIBLE_FIRST: (SmallWorld(COPIES), "I3"),
    Guard.NAME_RESERVED: (SmallWorld(COPIES, budget=QUIET, same_name=True), "no way leads from here to an end"),
    Guard.COPY_CONDITIONAL: (SmallWorld(COPIES, servers=2, budget=QUIET, same_name=True), "I3"),
    Guard.STAGING_LAST: (SmallWorld(COPIES), "I3"),
    Guard.CLAIM_KEPT: (SmallWorld(COPIES), "I3"),
    Guard.SAME_DECISION: (SmallWorld(COPIES, servers=2, budget=GIVING_UP), "I3"),
    Guard.WITHDRAWN_BY_ALL: (SmallWorld(COPIES, budget=GIVING_UP), "I3"),
    Guard.SOURCE_FIRST: (SmallWorld(COPIES, servers=2, budget=GIVING_UP), "I3"),
    Guard.PROCESS_GONE: (SmallWorld(ROWS), "I7"),
    Guard.PRESUMED_SAID: (SmallWorld(ROWS, servers=2, budget=ONE_OF_EACH), "I7"),
    Guard.KEY_TOGETHER: (SmallWorld(ROWS), "I6"),
    Guard.OUTBOX_TOGETHER: (SmallWorld(COPIES), "no way leads from here to an end"),
}


@pytest.mark.parametrize("same_name", [False, True], ids=["own names", "one name"])
@pytest.mark.parametrize("servers", [1, 2])
@pytest.mark.parametrize("publication", Publication)
def test_every_interleaving_keeps_the_promises(publication, servers, same_name):
    budget = ONE_OF_EACH if servers == 2 else ONE_OF_EACH._replace(lapses=0)  # a lone server's workers never lapse
    explored = explore(SmallWorld(publication, servers, budget, same_name))
    print(f"{publication.name}: {explored.states:,} states, {explored.transitions:,} transitions")
    assert explored.counterexample is None, f"\n{explored.counterexample}"
    assert explored.states > 200


@pytest.mark.parametrize("same_name", [False, True], ids=["own names", "one name"])
def test_a_result_that_is_given_up_keeps_them_too(same_name):
    explored = explore(SmallWorld(COPIES, 2, GIVING_UP, same_name))
    print(f"{explored.states:,} states, {explored.transitions:,} transitions")
    assert explored.counterexample is None, f"\n{explored.counterexample}"


@pytest.mark.slow  # some minutes
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("publication", Publication)
def test_two_of_every_crash(publication):
    explored = explore(SmallWorld(publication, 2, Budget(server_kills=2, worker_kills=2, lapses=1, cancels=2)))
    print(f"{publication.name}: {explored.states:,} states, {explored.transitions:,} transitions")
    assert explored.counterexample is None, f"\n{explored.counterexample}"


def test_every_guard_is_missed_somewhere():
    assert set(MISSED) == set(Guard)


@pytest.mark.parametrize("guard", Guard)
def test_without_a_guard_a_promise_breaks(guard):
    world, promise = MISSED[guard]
    assert _explored(world).counterexample is None
    counterexample = _explored(world, guard).counterexample
    assert counterexample is not None, f"nothing breaks although {guard.value!r} does not hold any more"
    print(f"without {guard.name} ({guard.value}):\n{counterexample}")
    assert promise in counterexample.fault
    assert len(counterexample.steps) > 1


def test_a_zombie_that_decides_may_leave_a_job_that_never_ends():
    """Why the token matters: its staging may be gone by then."""
    world = SmallWorld(COPIES, 2, ONE_OF_EACH._replace(cancels=0, server_kills=0))

    class OnlyWhatReadersSee(SmallWorld):
        def fault(self, before: State, after: State) -> str | None:
            said = super().fault(before, after)
            return None if said and said.startswith("I4") else said

    blind = OnlyWhatReadersSee(COPIES, world.servers, world.budget, without=frozenset({Guard.TOKEN_CHECK}))
    counterexample = explore(blind).counterexample
    assert counterexample is not None
    print(counterexample)
    assert "neither visible nor staged" in counterexample.fault


_IN_THE_MODEL = [move for move in TRANSITIONS if move[0] is not JobState.AWAITING_UPLOAD]  # before a job's queue


@pytest.mark.parametrize("move", _IN_THE_MODEL, ids=[f"{state}-{event}" for state, event in _IN_THE_MODEL])
def test_the_model_goes_by_the_products_own_table(move):
    """Every move of the table is one that the model makes."""
    table = {key: to for key, to in TRANSITIONS.items() if key != move}
    state, event = move
    worlds = [SmallWorld(one, budget=ONE_OF_EACH._replace(lapses=0), table=table) for one in Publication]
    assert any(_misses(world) for world in worlds), f"the model never makes a {state} job {event}"


def test_a_table_that_lets_a_terminal_state_change_is_found_out():
    table = dict(TRANSITIONS) | {(JobState.SUCCEEDED, JobEvent.DECIDED): JobState.PUBLISHING}

    class OnlyTerminal(SmallWorld):
        def fault(self, before: State, after: State) -> str | None:
            said = super().fault(before, after)
            return said if said and "a terminal state has changed" in said else None

    budget = ONE_OF_EACH._replace(cancels=0, server_kills=0, worker_kills=0)
    world = OnlyTerminal(COPIES, 2, budget, table=table, without=frozenset({Guard.TOKEN_CHECK}))
    counterexample = explore(world).counterexample
    assert counterexample is not None
    assert "a terminal state has changed" in counterexample.fault


def test_the_search_has_a_limit():
    with pytest.raises(TooManyStates):
        explore(SmallWorld(COPIES), states_max=100)


def _explored(world: SmallWorld, guard: Guard | None = None) -> Explored[State]:
    without = frozenset() if guard is None else frozenset({guard})
    return explore(SmallWorld(world.publication, world.servers, world.budget, world.same_name, without))


def _misses(world: SmallWorld) -> bool:
    """The model cannot go on without that move, or comes to no end."""
    try:
        return explore(world).counterexample is not None
    except KeyError:
        return True
