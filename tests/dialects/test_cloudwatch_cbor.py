"""CBOR as CloudWatch's clients send it, read and written; what is none of it is refused, never more."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from botocore import parsers
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from seatrial.http.aws_cbor import decoded, encoded

OUTPUT = get_session().get_service_model("cloudwatch").operation_model("GetMetricStatistics").output_shape


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(ValueError):
        decoded(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("a0", {}),
        ("a16161fb3ff8000000000000", {"a": 1.5}),
        ("bf6161f5ff", {"a": True}),  # of no told length
        ("9f01ff", [1]),
        ("83182a1903e83903e7", [42, 1000, -1000]),
        ("7f61616162ff", "ab"),
        ("42aabb", b"\xaa\xbb"),
        ("c11a514b67b0", 1363896240),  # a time
        ("f93c00", 1.0),
        ("f6", None),
    ],
)
def test_what_the_protocol_uses(data: str, value: Any) -> None:
    assert decoded(bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    "data",
    [
        "", "a1", "9bffffffffffffffff", "5bffffffffffffffff", "c249010000000000000000", "d81c80", "a10102", "0000",
        "61ff", "fc", "1f", "81" * 5000 + "00", "7f4161ff", "c1f5",
    ],
)  # fmt: skip
def test_what_it_does_not(data: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decoded(bytes.fromhex(data))


@given(
    st.lists(
        st.tuples(st.floats(0, 4e9), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=300)),
        max_size=300,
    )
)
def test_botocore_reads_what_is_written(points: list[tuple[float, float, str]]) -> None:
    told = [{"Timestamp": at, "Sum": value, "Unit": unit, "Average": None} for at, value, unit in points]
    body = encoded(OUTPUT, {"Label": "ä" * 300, "Datapoints": told})
    headers = {"smithy-protocol": "rpc-v2-cbor"}
    read = parsers.create_parser("smithy-rpc-v2-cbor").parse(
        {"body": body, "headers": headers, "status_code": 200, "context": {}}, OUTPUT
    )
    assert read["Label"] == "ä" * 300
    assert [(one["Sum"], one["Unit"]) for one in read["Datapoints"]] == [(value, unit) for _, value, unit in points]
    for one, (at, _, _) in zip(read["Datapoints"], points, strict=True):
        assert math.isclose(one["Timestamp"].timestamp(), at, abs_tol=1e-3)
