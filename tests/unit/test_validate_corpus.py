"""The validator on a corpus made from a seed: a lean one here; `make validate-corpus` is the whole of it."""

import pytest
from benchmarks.outputs.__main__ import AIM, HELD_OUT_SEED, corpus, measure, total


def test_a_lean_corpus() -> None:
    good, damaged = corpus(HELD_OUT_SEED, each=24)
    every = total(measure([*good, *damaged], keep=None))
    assert every.good == every.damaged == 24
    assert len(every.false_alarms) <= 1, every.false_alarms
    assert len(every.missed) <= 1, every.missed


@pytest.mark.slow  # draws 600 files, most of them pictures: a minute
@pytest.mark.timeout(900)
def test_the_whole_corpus() -> None:
    good, damaged = corpus(HELD_OUT_SEED, each=300)
    every = total(measure([*good, *damaged], keep=None))
    assert every.precision >= AIM, every.false_alarms
    assert every.recall >= AIM, every.missed
