"""An answer around "it failed" is a failure; data that only looks a little like it is not."""

from __future__ import annotations

import pytest

from seatrial.domain.checking import soft_failure


@pytest.mark.parametrize(
    ("answer", "error_type", "words"),
    [
        ({"status": "error", "message": "Unknown task: initialization"}, "soft_failure", "Unknown task"),
        ({"status": "FAILED"}, "soft_failure", "'FAILED'"),
        ({"error": "Prompt is too long.", "error_type": "prompt_too_long"}, "prompt_too_long", "too long"),
        ({"error": {"message": "no GPU", "code": 3}}, "soft_failure", "no GPU"),
        ({"error": {"code": 3}}, "soft_failure", '{"code": 3}'),
        ({"embedding": [0.0], "embedding_mock": True}, "mock_output", "embedding_mock"),
        ({"status": "ok", "error": "out of memory"}, "soft_failure", "out of memory"),
    ],
)
def test_it_is_a_failure_in_the_handlers_own_words(answer, error_type, words):
    failure = soft_failure(answer)
    assert failure is not None
    assert failure.error_type == error_type
    assert words in failure.message
    assert "soft_failures = false" in failure.details["remedy"]


@pytest.mark.parametrize(
    "answer",
    [
        {"error": 0.02, "status": "ok"},
        {"error": ""},
        {"error": None, "embedding": [1.0]},
        {"error": {}},
        {"error": []},
        {"status": "succeeded"},
        {"status": 500},
        {"embedding_mock": False},
        {"results": [{"status": "failed"}]},
        [{"status": "failed"}],
        "error",
        None,
    ],
)
def test_it_is_data(answer):
    assert soft_failure(answer) is None


def test_what_is_kept_of_the_answer_is_small():
    failure = soft_failure({"status": "error", "message": "m" * 10_000, "image": [0] * 10_000})
    assert failure is not None
    assert len(str(failure.details)) < 1_000
