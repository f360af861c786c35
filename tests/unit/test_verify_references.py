"""References of an answer to its parts: which values are some, and how many are followed."""

from __future__ import annotations

import json

import pytest

from seatrial.prove.limits import TARGET_ANSWER_BYTES_MAX, TARGET_REFERENCES_MAX
from seatrial.prove.targets.answer import Part
from seatrial.prove.targets.references import references_in
from seatrial.prove.targets.trouble import Unreachable

OUTPUT = "s3://out/jobs/one.out"
GOOD = {"uri": "s3://out/jobs/one-overlay.png", "media_type": "image/png", "bytes": 9, "sha256": "0a" * 32}


def found(document):
    return references_in(Part("result", json.dumps(document).encode(), "application/json", OUTPUT))


def test_a_field_that_refers_to_an_object_is_followed():
    (one,) = found({"text": "a", "overlay": GOOD})
    assert (one.name, one.uri, one.media_type, one.size_bytes) == ("overlay", GOOD["uri"], "image/png", 9)
    assert one.is_beside(OUTPUT)


@pytest.mark.parametrize("uri", ["s3://out/jobs/other-overlay.png", "s3://else/jobs/one-overlay.png", "s3://out/one"])
def test_what_lies_elsewhere_is_not_the_answers_own(uri):
    (one,) = found({"overlay": GOOD | {"uri": uri}})
    assert not one.is_beside(OUTPUT)


@pytest.mark.parametrize(
    "changed",
    [
        {"uri": "file:///etc/passwd"},
        {"uri": "http://127.0.0.1/x"},
        {"uri": 1},
        {"bytes": True},
        {"bytes": -1},
        {"sha256": "0a"},
        {"more": 1},
    ],
)
def test_any_other_shape_is_data(changed):
    assert found({"overlay": GOOD | changed}) == []


def test_an_answer_that_is_no_object_refers_to_nothing():
    assert found([GOOD]) == []
    assert references_in(Part("result", b"\x89PNG", "image/png")) == []


def test_too_many_or_too_large_ones_are_not_read():
    with pytest.raises(Unreachable, match="are read"):
        found({f"part{number}": GOOD for number in range(TARGET_REFERENCES_MAX + 1)})
    with pytest.raises(Unreachable, match="are read"):
        found({"overlay": GOOD | {"bytes": TARGET_ANSWER_BYTES_MAX + 1}})
