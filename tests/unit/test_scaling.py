"""How many workers are wanted: arithmetic, steps, cooldowns and room, and alarms over points of a minute."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.domain.alarms import AlarmRule, AlarmState, Comparison, Missing, evaluated, judged
from seatrial.domain.scaling import (
    Adjustment,
    Plan,
    Scaled,
    Step,
    Stepping,
    Wishes,
    highest_floor,
    may_grow,
    may_shrink,
    problem_of_limits,
    problem_of_steps,
    room_for,
    tracked,
)
from seatrial.domain.series import MINUTE_MS, Point, Series, Statistic, merged, metric, periods, sample

counts = st.integers(0, 200)


# ---------------------------------------------------------------- target tracking


@given(st.floats(0.1, 50), counts)
def test_the_tracked_number_is_the_least_that_keeps_the_target(target: float, backlog: int) -> None:
    wanted = tracked(target, backlog)
    assert wanted * target >= backlog - 1e-6 * max(backlog, 1)
    assert wanted == 0 or (wanted - 1) * target < backlog
    assert (wanted == 0) is (backlog == 0)


@given(st.integers(0, 10), st.integers(0, 10), counts)
def test_a_plan_keeps_its_limits(low: int, more: int, wanted: int) -> None:
    plan = Plan(low, low + more, 0)
    assert low <= plan.within(wanted) <= low + more
    assert plan.within(plan.within(wanted)) == plan.within(wanted)
    assert problem_of_limits(low, low + more, 20) is None
    assert problem_of_limits(low + more + 1, low, 20) is not None


@given(st.lists(st.tuples(st.integers(1, 30), counts), min_size=1, max_size=60), st.integers(0, 120))
def test_the_highest_wish_is_that_of_the_whole_window(moves: list[tuple[int, int]], seconds: int) -> None:
    wishes, now_ms, seen = Wishes(0), 0, []
    for later, wanted in moves:
        now_ms += later * 1000
        wishes.add(wanted, now_ms)
        seen.append((now_ms, wanted))
        window = [one for at_ms, one in seen if at_ms > now_ms - seconds * 1000] or [wanted]
        expected = max(window) if now_ms >= seconds * 1000 else None
        assert wishes.highest(seconds, now_ms) == expected


def test_nothing_shrinks_before_every_policy_has_watched_long_enough() -> None:
    assert highest_floor([0, 2, 1]) == 2
    assert highest_floor([0, None]) is None
    assert highest_floor([]) == 0


@given(counts, counts, st.integers(0, 600), st.integers(0, 700_000))
def test_cooldowns(before: int, after: int, seconds: int, later_ms: int) -> None:
    last = Scaled(0, before, after)
    over = later_ms >= seconds * 1000
    assert may_shrink(last, None, seconds, later_ms) is over
    assert may_shrink(None, last, seconds, later_ms) is over
    assert may_shrink(None, None, seconds, later_ms)
    assert may_grow(after, last, seconds, later_ms) is over
    assert may_grow(after + 1, last, seconds, later_ms), "a larger growth need not wait"


@given(st.integers(0, 20), st.integers(1, 40), st.integers(0, 100), st.integers(1, 10), st.integers(1, 30))
def test_room(present: int, more: int, free: int, each: int, cores_max: int) -> None:
    wanted = present + more
    granted = room_for(wanted, present, free, each, cores_max)
    assert min(present, 1) <= granted <= wanted
    assert granted >= present, "room is asked for what is added, never to take away"
    assert granted <= max(present, cores_max)
    assert (granted - present) * each <= free or (present, granted) == (0, 1), "but the first one is always tried"
    assert room_for(wanted, present, None, None, wanted) == wanted


# ---------------------------------------------------------------- steps


@given(st.sets(st.integers(-50, 50), min_size=1, max_size=5), st.floats(-100, 100))
def test_steps_without_gaps_have_one_step_for_every_value(bounds: set[int], beyond: float) -> None:
    edges = [None, *sorted(bounds), None]
    steps = [Step(low, high, number) for number, (low, high) in enumerate(pairwise(edges))]
    assert problem_of_steps(steps) is None
    holding = [one for one in steps if one.holds(beyond)]
    straddles = any((one.lower is None or one.lower < 0) and (one.upper is None or one.upper > 0) for one in steps)
    assert len(holding) == 1 or (beyond == 0 and not straddles)


def test_steps_that_overlap_leave_gaps_or_are_empty_are_named() -> None:
    assert "gap between 5 and 6" in str(problem_of_steps([Step(0, 5, 1), Step(6, None, 2)]))
    assert "overlap" in str(problem_of_steps([Step(0, 5, 1), Step(4, None, 2)]))
    assert "empty: 5 to 5" in str(problem_of_steps([Step(5, 5, 1)]))
    assert "no lower bound" in str(problem_of_steps([Step(None, 5, 1), Step(None, 9, 2)]))
    assert problem_of_steps([]) == "At least one step is needed."


@pytest.mark.parametrize(
    ("adjustment", "by", "least", "capacity", "wanted"),
    [
        (Adjustment.CHANGE, 2, 1, 3, 5),
        (Adjustment.CHANGE, -9, 1, 3, 0),
        (Adjustment.EXACT, 4, 1, 9, 4),
        (Adjustment.PERCENT, 10, 1, 3, 4),  # less than one is one
        (Adjustment.PERCENT, 25, 1, 10, 12),  # 2.5 towards zero
        (Adjustment.PERCENT, -50, 1, 3, 2),
        (Adjustment.PERCENT, 10, 3, 10, 13),
        (Adjustment.PERCENT, 0, 1, 10, 10),
    ],
)
def test_adjustments(adjustment: Adjustment, by: int, least: int, capacity: int, wanted: int) -> None:
    rule = Stepping(adjustment, (Step(0, None, by),), 0, least)
    assert rule.wanted(capacity, 0.5) == wanted
    assert rule.wanted(capacity, -0.5) is None


# ---------------------------------------------------------------- points and alarms

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


@given(values, values)
def test_points_add_up_however_they_are_grouped(first: list[float], second: list[float]) -> None:
    apart = [merged(map(sample, first)), merged(map(sample, second))]
    together, whole = merged(one for one in apart if one), merged(map(sample, first + second))
    assert together is not None
    assert whole is not None
    assert (together.count, together.low, together.high) == (whole.count, whole.low, whole.high)
    assert math.isclose(together.total, whole.total, rel_tol=1e-9, abs_tol=1e-3)
    assert whole.low - 1e-6 <= whole.statistic(Statistic.AVERAGE) <= whole.high + 1e-6


def test_a_series_keeps_its_newest_minutes_and_a_level_its_last_value() -> None:
    series = Series(3)
    for minute in (1, 2, 3, 4):
        series.set(10, minute * MINUTE_MS)
        series.set(minute, minute * MINUTE_MS + 59_999)
    assert {minute: point.total for minute, point in series.items()} == {2: 2, 3: 3, 4: 4}
    series.add(sample(5), 4 * MINUTE_MS)
    series.happened(1, 4 * MINUTE_MS)
    assert series[4] == Point(3, 10, 1, 5)


def test_periods_begin_with_the_time_that_was_asked_for() -> None:
    points = {minute: sample(1) for minute in (10, 11, 12, 14)}
    found = periods(points, 11 * MINUTE_MS + 5, 15 * MINUTE_MS, 120)
    assert [(at_ms // MINUTE_MS, point.total) for at_ms, point in found] == [(11, 2), (13, 1)]


def rule(missing: Missing = Missing.MISSING, datapoints: int = 2, evaluation_periods: int = 3) -> AlarmRule:
    return AlarmRule(
        metric("Mine", "m", {}), Statistic.SUM, 60, evaluation_periods, datapoints, Comparison.AT_LEAST, 5, missing
    )


@pytest.mark.parametrize(
    ("values", "missing", "state"),
    [
        ((5, 5, 0), Missing.MISSING, AlarmState.ALARM),
        ((5, 0, 5), Missing.MISSING, AlarmState.ALARM),
        ((5, 0, 0), Missing.MISSING, AlarmState.OK),
        ((5, None, None), Missing.MISSING, AlarmState.OK),
        ((5, None, None), Missing.BREACHING, AlarmState.ALARM),
        ((None, None, None), Missing.BREACHING, AlarmState.ALARM),
        ((None, None, None), Missing.NOT_BREACHING, AlarmState.OK),
        ((None, None, None), Missing.MISSING, AlarmState.INSUFFICIENT),
        ((None, None, None), Missing.IGNORE, AlarmState.ALARM),
    ],
)
def test_states(values: tuple[float | None, ...], missing: Missing, state: AlarmState) -> None:
    verdict = judged(rule(missing), values, AlarmState.ALARM)
    assert verdict.state is state
    assert verdict.reason


optional = st.one_of(st.none(), st.integers(0, 10))


@given(st.lists(optional, min_size=3, max_size=3), st.sampled_from(Missing), st.integers(1, 3))
def test_more_breaches_never_end_an_alarm(values: list[int | None], missing: Missing, datapoints: int) -> None:
    asked = rule(missing, datapoints)
    before = judged(asked, values, AlarmState.OK)
    for place in range(3):
        worse = [*values[:place], 9, *values[place + 1 :]]
        assert judged(asked, worse, AlarmState.OK).state is AlarmState.ALARM or before.state is not AlarmState.ALARM


def test_the_minute_that_runs_counts_for_levels_only() -> None:
    points = {7: sample(1), 8: sample(2), 9: sample(3)}
    now_ms = 9 * MINUTE_MS + 30_000
    assert evaluated(rule(), points, now_ms, is_level=True) == (3, 2, 1)
    assert evaluated(rule(), points, now_ms, is_level=False) == (2, 1, None)
    later_ms = 10 * MINUTE_MS + 1
    assert evaluated(rule(), points, later_ms, is_level=True) == (3, 2, 1), "not measured in this minute yet"
