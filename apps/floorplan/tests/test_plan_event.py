"""What the Lambda function makes of an event: plans, or an error that names the field."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from floorplan.errors import InputError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "aws"))

from plan_event import PlanEvent, plans_of

PLAN = {"bucket": "plans", "key": "blueprints/a.png", "jobId": "a", "timestamp": "2025-11-08T00:00:00Z"}


def record(**changed: object) -> dict[str, object]:
    s3 = {"bucket": {"name": "plans"}, "object": {"key": "blueprints/My+plan+%281%29.png"}} | changed
    return {"eventTime": "2025-11-08T00:00:00Z", "s3": s3}


def test_an_event_of_a_trigger_and_the_records_of_s3() -> None:
    assert plans_of(PLAN) == [PlanEvent("plans", "blueprints/a.png", "a")]
    assert plans_of({"bucket": "plans", "key": "x/b.tar.png"})[0].job_id == "b.tar"
    named = PlanEvent("plans", "blueprints/My plan (1).png", "My plan (1)")
    assert plans_of({"Records": [record(), record()]}) == [named, named]
    assert plans_of({"Records": []}) == []


@pytest.mark.parametrize(
    "job", [None, {"a": 1}, ["a"], 7, True, "", "../../up", "a/b", "..", ".hidden", "{x}", "a\nb", "a\0", "x" * 129]
)
def test_a_job_id_that_is_no_part_of_a_key(job: object) -> None:
    with pytest.raises(InputError, match=r"is no jobId: a text of the pattern \\w") as raised:
        plans_of(PLAN | {"jobId": job})
    assert (raised.value.error_type, raised.value.field) == ("invalid_field", "jobId")


@pytest.mark.parametrize(
    ("event", "error_type", "field"),
    [
        (["bucket"], "invalid_field", "event"),
        ("bucket", "invalid_field", "event"),
        (None, "invalid_field", "event"),
        ({}, "missing_field", "bucket"),
        ({"bucket": "plans"}, "missing_field", "key"),
        (PLAN | {"bucket": 7}, "invalid_field", "bucket"),
        (PLAN | {"bucket": "a bucket"}, "invalid_field", "bucket"),
        (PLAN | {"key": ["a"]}, "invalid_field", "key"),
        (PLAN | {"key": "a" * 1_025}, "invalid_field", "key"),
        ({"bucket": "plans", "key": "/"}, "invalid_field", "jobId"),
        ({"Records": None}, "invalid_field", "Records"),
        ({"Records": {}}, "invalid_field", "Records"),
        ({"Records": [record()] * 101}, "invalid_field", "Records"),
        ({"Records": ["x"]}, "missing_field", "Records[0].s3"),
        ({"Records": [{}]}, "missing_field", "Records[0].s3"),
        ({"Records": [record(), record(bucket="plans")]}, "missing_field", "Records[1].s3.bucket"),
        ({"Records": [record(bucket={})]}, "missing_field", "Records[0].s3.bucket.name"),
        ({"Records": [record(object={})]}, "missing_field", "Records[0].s3.object.key"),
        ({"Records": [record(object={"key": "a/..%7B.png"})]}, "invalid_field", "Records[0].jobId"),
    ],
)
def test_an_event_without_its_fields(event: object, error_type: str, field: str) -> None:
    with pytest.raises(InputError) as raised:
        plans_of(event)
    assert (raised.value.error_type, raised.value.field) == (error_type, field)
