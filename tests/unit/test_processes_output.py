"""Redaction and the splitting of output, without a process."""

import json

from hypothesis import given
from hypothesis import strategies as st

from seatrial.adapters.processes.death import death
from seatrial.adapters.processes.redaction import Redactor
from seatrial.domain.failures import Failure


@given(st.dictionaries(st.sampled_from(["A", "B", "C"]), st.text("abc\n\"'\\é", min_size=4, max_size=30), min_size=1))
def test_no_secret_of_enough_length_is_left(secrets: dict[str, str]) -> None:
    redactor = Redactor(secrets)
    for value in secrets.values():
        for shown in (value, json.dumps(value), repr(value), f"<{value}>"):
            told = redactor.text(shown)
            assert value not in told
            assert not [line for line in value.splitlines() if len(line.strip()) >= 4 and line.strip() in told]


def test_a_secret_within_another_does_not_spoil_it() -> None:
    redactor = Redactor({"SHORT": "abcd", "LONG": "abcdefgh"})
    assert redactor.text("abcdefgh abcd") == "[redacted LONG] [redacted SHORT]"


def test_short_values_do_not_take_ordinary_words_with_them() -> None:
    assert Redactor({"A": "no"}).text("no, not now") == "no, not now"


def test_details_are_redacted_at_any_depth() -> None:
    failure = Failure("t", "is hush", {"a": [{"hush": "hush!"}], "n": 3})
    assert Redactor({"S": "hush"}).failure(failure) == Failure(
        "t", "is [redacted S]", {"a": [{"[redacted S]": "[redacted S]!"}], "n": 3}
    )


def test_deaths_are_told_with_their_probable_cause() -> None:
    def message(code: int, **more: bool | int) -> str:
        told = death(code, [], endpoint_name="e", **({"by_us": False, "memory_kills": 0} | more))
        assert str(told.details["remedy"]).startswith("The process ended with ")
        return told.message

    assert message(-9) == "the worker process was killed by SIGKILL: probably out of memory"
    assert message(-9, memory_kills=1) == "the worker process was killed by SIGKILL: the system ran out of memory"
    assert message(-15, by_us=True) == "the worker process was killed by SIGTERM, by the server"
    assert message(3) == "the worker process left with exit code 3"
