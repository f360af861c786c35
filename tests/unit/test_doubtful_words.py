"""Words such as "placeholder" in an answer are told of, with their place; ordinary words are not."""

from __future__ import annotations

import pytest

from seatrial.domain.checking import doubtful_words


@pytest.mark.parametrize(
    ("answer", "doubts"),
    [
        ({"note": "placeholder"}, ["'placeholder' in 'note'"]),
        ({"meta": {"notes": ["ok", "Model NOT LOADED, sorry"]}}, ["'NOT LOADED' in 'meta/notes/1'"]),
        ({"is_placeholder": True}, ["'placeholder' in 'is_placeholder'"]),
        ({"model": "dummy model", "x": [1, {"y": "not yet implemented"}]},
         ["'dummy model' in 'model'", "'not yet implemented' in 'x/1/y'"]),
        ("This is a placeholder.", ["'placeholder'"]),
    ],
)  # fmt: skip
def test_they_are_told_of_with_their_place(answer, doubts):
    assert doubtful_words(answer) == doubts


@pytest.mark.parametrize(
    "answer",
    [
        {"is_placeholder": False, "placeholder": None},
        {"caption": "mock turtle soup beside a dummy in a shop window"},
        {"text": "unloaded", "state": "loaded"},
        {"image": "cGxhY2Vob2xkZXI="},
        [1, 2.0, None, True],
        None,
    ],
)
def test_what_is_not_one_of_them_is_left_alone(answer):
    assert doubtful_words(answer) == []


def test_what_the_request_says_itself_is_only_repeated():
    assert doubtful_words({"text": "A Placeholder"}, '{"text": "a placeholder"}') == []


def test_few_are_told_of_an_answer_however_large():
    assert len(doubtful_words({"notes": ["placeholder"] * 100_000})) == 5
