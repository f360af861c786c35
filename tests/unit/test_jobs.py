"""The life of a job, move by move."""

import pytest

from seatrial.domain.jobs import TERMINAL, TRANSITIONS, IllegalTransition, JobEvent, JobState, after

MOVES = """
awaiting_upload arrived queued
awaiting_upload decided publishing
awaiting_upload failed failed
awaiting_upload cancelled cancelled
queued     taken     running
queued     decided   publishing
queued     failed    failed
queued     cancelled cancelled
running    released  queued
running    decided   publishing
running    failed    failed
running    cancelled cancelled
publishing published succeeded
publishing failed    failed
publishing cancelled cancelled
"""
LEGAL = {(JobState(a), JobEvent(b)): JobState(c) for a, b, c in (line.split() for line in MOVES.split("\n") if line)}


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("event", JobEvent)
def test_every_move_is_the_one_meant_or_refused(state: JobState, event: JobEvent) -> None:
    if (state, event) in LEGAL:
        assert after(state, event) is LEGAL[state, event]
    else:
        with pytest.raises(IllegalTransition, match=f"a {state} job cannot be {event}"):
            after(state, event)


def test_what_has_ended_never_moves() -> None:
    assert {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED} == TERMINAL
    assert not {state for state, _ in TRANSITIONS} & TERMINAL


def test_every_state_is_reached_and_every_other_one_can_end() -> None:
    reached = {JobState.AWAITING_UPLOAD}
    while more := {to for (state, _), to in TRANSITIONS.items() if state in reached} - reached:
        reached |= more
    assert reached == set(JobState)
    assert {state for state, _ in TRANSITIONS} == set(JobState) - TERMINAL


def test_only_a_decision_leads_to_success() -> None:
    into = {move for move, to in TRANSITIONS.items() if to is JobState.SUCCEEDED}
    assert into == {(JobState.PUBLISHING, JobEvent.PUBLISHED)}
