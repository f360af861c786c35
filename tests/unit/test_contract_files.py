"""Contract files: what they hold, and how mistakes in them are told."""

from __future__ import annotations

import json
from difflib import get_close_matches

import pytest

from seatrial.package import tables as theirs
from seatrial.prove import contract_tables as ours
from seatrial.prove.contract_file import TEMPLATE, BadContract, contract_of, load_contract
from seatrial.prove.request import Request, SentFile, Source
from seatrial.prove.targets.spelling import with_files
from seatrial.prove.targets.trouble import CannotSend


def test_a_packages_own_file_is_a_contract(package):
    contract = load_contract(package("tasks_sagemaker") / "seatrial.toml")

    assert [task.name for task in contract.tasks] == ["get_embedding", "generate_3d"]
    assert contract.task_field == "task"  # of several tasks a request names one
    embedding, surface = contract.tasks
    assert embedding.samples[0].expect
    assert surface.samples[0].files[0].data.startswith(b"\x89PNG")
    assert surface.output.schema["properties"]["status"] == {"const": "success"}
    request = contract.request(embedding, embedding.samples[0])
    assert (request.task, request.task_field) == ("get_embedding", "task")


def test_the_first_contract_is_one(tmp_path):
    path = tmp_path / "contract.toml"
    path.write_text(TEMPLATE)
    contract = load_contract(path)
    assert contract.tasks[0].latency_seconds_max == 10
    assert contract.tasks[0].samples[0].input == {"session_id": "verify"}


def test_json_and_data_urls_need_no_other_file(tmp_path):
    sample = {"input": {"a": 1}, "files": {"image": "data:image/png;base64,iVBORw0KGgo="}}
    path = tmp_path / "contract.json"
    path.write_text(json.dumps({"tasks": {"draw": {"samples": [sample]}}}))
    file = load_contract(path).tasks[0].samples[0].files[0]
    assert (file.name, file.media_type, file.data) == ("image.png", "image/png", b"\x89PNG\r\n\x1a\n")
    assert load_contract(path).task_field is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"task": {}}, "task: unknown key; valid: "),
        ({"tasks": {"a": {"latency_seconds_max": 0}}}, "tasks.a.latency_seconds_max"),
        ({"tasks": {"a": {"output": {"shema": {}}}}}, "tasks.a.output.shema: unknown key"),
        ({"tasks": {"a": {"input": {"x": {"sources": ["mail"]}}}}}, "tasks.a.input.x.sources.0"),
        ({"tasks": {"a": {"samples": [{"input": "nowhere.json"}]}}}, "samples[1].input: nowhere.json cannot be read"),
        ({"tasks": {"a": {"samples": [{"name": "x"}, {"name": "x"}]}}}, "'x' comes twice"),
        ({"tasks": {"a": {"output": {"validate": {"image": {"widht": 1}}}}}}, "image.widht: unknown"),
        (
            {"tasks": {"a": {"output": {"validate": True}}}},
            "tasks.a.output.validate: Input should be a valid string or a valid dictionary",
        ),
        ({"tasks": {"a": {"samples": [{"files": {"x": 3, "y": 3}}]}}}, "files.x: Input should be a valid string"),
        ({"verify": {"critical_log_patterns": ["("]}}, "no regular expression"),
        ({"tasks": {"a": {"samples": [{"files": {"x": "data:image/png;base64,?"}}]}}}, "no base64"),
        ({"tasks": {"a": {"latencyseconds_max": 3}}}, "'latencyseconds_max': is no key"),
        ({"tasks": {"a": {"input": {"x": {"source": ["key"]}}}}}, "did you mean 'sources'?"),
        ([], "the file"),
    ],
)
def test_a_mistake_is_named_by_its_place(told, words, tmp_path):
    with pytest.raises(BadContract, match=r"^contract: ") as caught:
        contract_of(told, tmp_path, "contract")
    assert words in str(caught.value)


def file(**how):
    return SentFile(field="image", name="a.png", data=b"abc", media_type="image/png", **how)


def kept(one):
    return "bucket", f"inputs/{one.name}"


@pytest.mark.parametrize(
    ("how", "sent"),
    [
        ({"sources": (Source.BASE64,)}, {"image": "YWJj"}),
        ({"sources": (Source.DATA_URL,)}, {"image": "data:image/png;base64,YWJj"}),
        ({}, {"image": "s3://bucket/inputs/a.png"}),
        ({"sources": (Source.KEY,)}, {"image": {"bucket": "bucket", "key": "inputs/a.png"}}),
        (
            {"sources": (Source.KEY,), "key_field": "image_key", "bucket_field": "bucket"},
            {"image_key": "inputs/a.png", "bucket": "bucket"},
        ),
        ({"sources": (Source.KEY,), "key_field": "image_key"}, {"image_key": "inputs/a.png"}),
    ],
)
def test_a_file_goes_in_the_first_way_that_its_field_takes(how, sent):
    ways = (Source.URI, Source.BASE64, Source.DATA_URL, Source.KEY)
    assert with_files(Request(files=(file(**how),)), ways, kept) == sent


def test_a_file_that_no_way_is_left_for_is_told():
    with pytest.raises(CannotSend, match="takes raw, and this wire sends data_url"):
        with_files(Request(files=(file(sources=(Source.RAW,)),)), (Source.DATA_URL,))


def test_no_key_of_a_package_is_taken_for_a_slip():
    pairs = [
        (ours.PackageTable, theirs.PackageTable),
        (ours.WorkerTable, theirs.WorkerTable),
        (ours.TaskTable, theirs.TaskTable),
        (ours.FieldTable, theirs.ValueTable),
        (ours.FieldTable, theirs.MediaTable),
    ]
    for table, package in pairs:
        for key in package.model_fields:
            assert get_close_matches(key, table.model_fields, 1, ours.SLIP_LIKENESS_MIN) in ([], [key])
