import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.domain.checking import check_answer
from seatrial.domain.checking.schemas import schema_fault
from seatrial.domain.contract import Output, Task
from seatrial.domain.errors import BadInput, SeatrialError
from seatrial.domain.json_text import deeper_than, parse_answer_json, parse_request_json
from seatrial.domain.limits import JSON_DEPTH_MAX

ROOMS = Task(
    "find_rooms",
    output=Output(
        schema={
            "type": "object",
            "required": ["rooms"],
            "properties": {
                "rooms": {"type": "array", "items": {"type": "object", "properties": {"area": {"minimum": 0}}}}
            },
        }
    ),
)


def broken(task: Task, answer: Any) -> SeatrialError:
    with pytest.raises(SeatrialError) as caught:
        check_answer(task, answer)
    assert caught.value.error_type == "output_contract"
    return caught.value


def test_an_answer_that_fits_passes() -> None:
    check_answer(ROOMS, {"rooms": [{"area": 2.5}]})
    check_answer(Task("t"), [1, "anything", None])


def test_the_path_and_what_was_expected_are_named() -> None:
    error = broken(ROOMS, {"rooms": [{"area": 1}, {"area": -3}]})
    assert error.field == "rooms/1/area"
    assert "must be at least 0, is -3" in error.message
    assert "find_rooms" in error.message


def test_a_missing_member_is_named() -> None:
    assert 'must have "rooms"' in broken(ROOMS, {}).message


def test_all_that_is_wrong_is_listed() -> None:
    error = broken(ROOMS, {"rooms": [{"area": -1}, {"area": -2}]})
    assert [one["field"] for one in error.details["problems"]] == ["rooms/0/area", "rooms/1/area"]
    assert "and 1 more" in error.message


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_json_are_refused(number: float) -> None:
    assert broken(Task("t"), {"a": [1.0, {"b": number}]}).field == "a/1/b"
    assert "must be a finite number" in broken(Task("t"), number).message


def test_a_deep_answer_does_not_exhaust_the_stack() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    check_answer(Task("t"), deep)
    recursive = Task("t", output=Output(schema={"items": {"$ref": "#"}}))
    assert "nested too deeply" in broken(recursive, deep).message


def test_a_wrong_schema_is_described() -> None:
    assert schema_fault({"type": "object"}) is None
    assert "type" in str(schema_fault({"properties": {"a": {"type": "objekt"}}}))


# ---------------------------------------------------------------- JSON text


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{\n  "a": tru\n}', "line 2 column 8"),
        (b"", "line 1 column 1"),
        (b'{"a": 1}x', "Extra data"),
        (b'{"a": "\xff"}', "not UTF-8: byte 7 is 0xff"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "beyond a double"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "digits"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "'c' is used twice"),
        (b"[" * 200 + b"]" * 200, "nested"),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "nested"),
    ],
)
def test_what_is_not_json_says_where(body: bytes, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_request_json(body)
    assert caught.value.error_type == "malformed_input"
    assert says in caught.value.message


def test_an_answer_may_hold_nan_so_that_its_place_can_be_named() -> None:
    assert math.isnan(parse_answer_json(b'{"a": NaN}')["a"])
    with pytest.raises(ValueError, match="nested"):
        parse_answer_json(b"[" * 200_000)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(JSON_VALUES)
def test_all_json_is_read_as_it_was_written(value: Any) -> None:
    body = json.dumps(value).encode()
    assert parse_request_json(body) == value
    assert parse_answer_json(body) == value


@given(st.integers(0, 2 * JSON_DEPTH_MAX), st.sampled_from(["[{}]", '{{"a":{}}}']))
def test_depth_is_counted_exactly(depth: int, pair: str) -> None:
    value: Any = 1
    for _ in range(depth):
        value = [value] if pair.startswith("[") else {"a": value}
    assert deeper_than(value, JSON_DEPTH_MAX) == (depth > JSON_DEPTH_MAX)
