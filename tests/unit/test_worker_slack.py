"""What a process gives back before its memory is held against its handler."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from seatrial.domain.work import MemoryReading
from seatrial.engine.trial.drill import growth_of
from seatrial.worker.slack import GROWN_BYTES_ALWAYS, GROWN_BYTES_MIN, Slack

MIB = 1 << 20
MAPPED = 80 * MIB  # more than the allocator ever takes from what it has at hand
WORKED_MS = 1e6  # so much that giving back is always due


def resident() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def settled(slack: Slack) -> int:
    """At the first reading goes what the tests before left in this process."""
    slack.reading_after(WORKED_MS)
    return slack.reading_after(WORKED_MS).memory


@pytest.fixture
def collector_off() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Ring:
    def __init__(self, content: bytes) -> None:
        self.me, self.content = self, content


@pytest.mark.usefixtures("collector_off")
def test_garbage_in_cycles_is_not_held_against_a_handler() -> None:
    slack = Slack(resident)
    before = settled(slack)
    for _ in range(2):
        Ring(os.urandom(MAPPED))
    assert resident() > before + 60 * MIB
    after = slack.reading_after(WORKED_MS)
    assert after.settled
    assert after.memory < before + 8 * MIB


def test_what_the_allocator_keeps_is_given_back() -> None:
    slack = Slack(resident)
    before = settled(slack)
    blocks = [b"x" * 100_000 for _ in range(1_000)]  # each below the size that is mapped by itself
    kept = blocks[-1]
    del blocks
    assert slack.reading_after(WORKED_MS).memory < before + GROWN_BYTES_MIN
    assert kept


def test_what_is_kept_is_counted() -> None:
    slack = Slack(resident)
    before = settled(slack)
    kept = os.urandom(MAPPED)
    after = slack.reading_after(WORKED_MS)
    assert after.settled
    assert after.memory > before + 60 * MIB
    assert kept


def test_giving_back_waits_for_work_that_pays_for_it_unless_very_much_has_grown() -> None:
    resident_bytes = [0]
    slack = Slack(lambda: resident_bytes[0])
    assert slack.reading_after(0.0) == (0, False)
    resident_bytes[0] = 64 * MIB
    assert slack.reading_after(0.0) == (64 * MIB, True)  # its cost was not known
    resident_bytes[0] = 128 * MIB
    assert slack.reading_after(0.0) == (128 * MIB, False)
    resident_bytes[0] = 64 * MIB + GROWN_BYTES_ALWAYS
    assert slack.reading_after(0.0) == (64 * MIB + GROWN_BYTES_ALWAYS, True)


@pytest.mark.parametrize(
    ("series", "growth", "runs"),
    [
        ([(100, True), (200, True)], 0, 0),
        ([(100, False), (200, False), (900, False), (1_600, False)], 0, 0),  # nobody knows what is kept
        ([(100, False), (200, True), (900, False), (300, True), (900, False), (400, True)], 100, 2),
        ([(0, True), (600, True), (600, True)], 0, 1),  # caches were filled
    ],
)
def test_growth_is_that_of_what_is_kept(series: list[tuple[int, bool]], growth: int, runs: int) -> None:
    assert growth_of([MemoryReading(*one) for one in series]) == (growth, runs)
