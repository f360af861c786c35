"""Answers that a stranger holds against their contract, and the words of failures in every shape that servers use."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from seatrial.prove.contract import Output, OutputPart, Sample, Task
from seatrial.prove.finding import Outcome
from seatrial.prove.outputs import judge, parts_of
from seatrial.prove.targets.answer import Answer, Part, State, failure_of

JSON = "application/json"


def answer(*parts):
    return Answer(state=State.SUCCEEDED, seconds=1.0, parts=parts)


def said(value):
    return Part("result", json.dumps(value).encode(), JSON)


def faults(given, output=None, sample=None):
    found = judge(given, Task(name="t", output=output or Output()), sample)
    return [one.id for one in found if one.outcome is Outcome.FAILED]


def test_an_answer_without_output_and_one_cut_off_fail():
    assert faults(answer()) == ["output.exists"]
    assert faults(answer(Part("result", b"", JSON))) == ["output.exists"]
    assert faults(answer(Part("result", b'{"a": [1, 2', JSON))) == ["output.whole"]
    wrong = Part("result", b"{}", JSON, sha256=hashlib.sha256(b"{} ").hexdigest())
    assert faults(answer(wrong)) == ["output.whole"]


@pytest.mark.parametrize(
    "value", [{"status": "failed"}, {"status": "Error", "message": "no"}, {"error": "no"}, {"embedding_mock": True}]
)
def test_a_confession_is_a_failure_unless_the_contract_says_otherwise(value):
    assert faults(answer(said(value))) == ["output.honest"]
    assert faults(answer(said(value)), Output(soft_failures=False)) == []


def test_a_number_in_error_is_data():
    assert faults(answer(said({"error": 0.02, "status": "ok"}))) == []


def test_schemas_and_media_types_are_held_against_it():
    schema = {"type": "object", "required": ["a"]}
    assert faults(answer(said({"b": 1})), Output(schema=schema)) == ["output.contract"]
    assert faults(answer(said({"b": 1})), sample=Sample(name="s", expect=schema)) == ["output.contract"]
    assert faults(answer(said({"a": 1})), Output(schema=schema, media_type=JSON)) == []
    assert faults(answer(said({"a": 1})), Output(media_type="image/png")) == ["output.contract"]


def test_files_within_json_are_found_and_looked_at(png):
    encoded = base64.b64encode(png(32, 32)).decode()
    declared = Output(parts={"overlay": OutputPart(media_type="image/png")})
    assert faults(answer(said({"overlay": encoded})), declared) == []
    assert faults(answer(said({"other": 1})), declared) == ["output.exists"]
    cut = base64.b64encode(png(32, 32)[:60]).decode()
    assert faults(answer(said({"overlay": cut})), declared) == ["output.valid"]
    assert faults(answer(said({"images": [cut]}))) == ["output.valid"]  # undeclared ones too
    whole = Output(media_type="image/png")
    assert [part.media_type for part in parts_of(answer(said(encoded)), whole)] == ["image/png"]
    assert faults(answer(said(encoded)), whole) == []


@pytest.mark.parametrize(
    ("document", "message", "error_type", "field", "structured"),
    [
        ({"detail": "no", "error_type": "unknown_task", "field": "task"}, "no", "unknown_task", "task", True),
        ({"detail": [{"loc": ["body", "prompt"], "msg": "missing"}]}, "body.prompt: missing", None, "prompt", True),
        ({"Message": "no", "__type": "ValidationException"}, "no", "ValidationException", None, True),
        ({"error": {"message": "deep"}}, "deep", None, None, True),
        ('{"error_type": "X", "error_message": "no"}', "no", "X", None, True),
        ("plain words", "plain words", None, None, False),
        ({"nothing": 1}, "HTTP", None, None, False),
        (None, "HTTP", None, None, False),
    ],
)
def test_failures_are_read_in_every_shape(document, message, error_type, field, structured):
    found = failure_of(document, "HTTP")
    assert (found.message, found.error_type, found.field, found.structured) == (message, error_type, field, structured)
