"""Where two answers to one request differ."""

from __future__ import annotations

import pytest

from seatrial.prove.differences import covered, differences, tells_of_the_run, value_at


@pytest.mark.parametrize(
    ("one", "other", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, ["a"]),
        ({"a": 1.0}, {"a": 1.000001}, []),
        ({"a": 1.0}, {"a": 1.001}, ["a"]),
        ({"a": float("nan")}, {"a": float("nan")}, []),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, ["a"]),
        ({"rooms": [{"area": 1}, {"area": 2}]}, {"rooms": [{"area": 5}, {"area": 7}]}, ["rooms/*/area"]),
        ({"a": 1, "b": 2}, {"b": 2}, ["a"]),
        ({"b": 2}, {"a": 1, "b": 2}, ["a"]),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, ["a/b"]),
        ({"a": None}, {"a": 0}, ["a"]),
        ("x", "y", [""]),
        ([], {}, [""]),
    ],
)
def test_paths(one, other, paths):
    assert list(differences(one, other, 1e-5)) == paths


def test_what_lies_at_a_path():
    answer = {"rooms": [{"area": 1}, {"area": 2}, {}]}
    assert value_at(answer, "rooms/*/area") == [1, 2]
    assert value_at(answer, "doors") == []
    assert value_at(7, "") == [7]


@pytest.mark.parametrize(
    ("path", "pattern", "is_covered"),
    [
        ("timing/seconds", "timing", True),
        ("timing/seconds", "timing/seconds", True),
        ("timing", "timing/seconds", False),
        ("rooms/*/id", "rooms/*/id", True),
        ("rooms/*/id", "rooms/*/area", False),
        ("seconds", "sec", False),
    ],
)
def test_patterns(path, pattern, is_covered):
    assert covered(path, (pattern,)) is is_covered


@pytest.mark.parametrize("name", ["seconds", "handler_ms", "timing/load", "created_at", "peak_memory_bytes", "Time"])
def test_names_that_tell_of_the_run(name):
    assert tells_of_the_run(name)


@pytest.mark.parametrize("name", ["embedding", "rooms/*/area", "lifetime", "timeline", "items", "runtime_error"])
def test_names_that_tell_of_the_result(name):
    assert not tells_of_the_run(name)
