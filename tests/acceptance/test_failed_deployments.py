"""Packages that cannot serve end as Failed in a bounded time, with the reason, and leave no process behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

REASON_CHARS_MAX = 1024  # SageMaker's limit
SERVES = "def model_fn(model_dir):\n    return None\n\ndef predict_fn(data, model):\n    return data\n"


def workers_left(api, name) -> list[str]:
    """Processes that work for this server's endpoint."""
    folder = api.server.data.stat()
    mine = f"SEATRIAL_SERVER_ID={folder.st_dev:x}-{folder.st_ino:x}"
    found = []
    for entry in Path("/proc").iterdir():
        try:
            variables = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if mine in variables and any(one.startswith(f"SEATRIAL_WORKER={name}-") for one in variables):
            found.append(entry.name)
    return found


def failed(api, name, package, **settings) -> str:
    """The reason of a deployment that fails."""
    endpoint = api.deploy(name, package, **settings)
    assert endpoint["status"] == "Failed"
    reason = endpoint["failure_reason"]
    assert len(reason) <= REASON_CHARS_MAX
    stages = endpoint["versions"][0]["stages"]
    assert [stage["state"] for stage in stages][:-1] == ["passed"] * (len(stages) - 1)
    assert stages[-1]["state"] == "failed"
    assert reason.startswith(f"{stages[-1]['stage']}: ")
    assert workers_left(api, name) == []
    described = api.server.client("sagemaker").describe_endpoint(EndpointName=name)
    assert (described["EndpointStatus"], described["FailureReason"]) == ("Failed", reason)
    refused = api.post(name, {})
    assert (refused.status_code, refused.json()["error_type"]) == (409, "endpoint_not_in_service")
    return reason


def test_an_import_of_what_nobody_has_is_refused_before_anything_is_built(api):
    reason = failed(
        api, "no-such-module", {"code/inference.py": "import not_there_either\n" + SERVES, "samples/a.json": "{}"}
    )
    assert reason.startswith("inspect: code/inference.py, line 1: imports 'not_there_either'")
    assert "Remedy: " in reason


def test_an_import_that_fails(api):
    reason = failed(api, "broken-import", "broken_import")
    assert reason.startswith("load: The model did not load")
    assert "ModuleNotFoundError: No module named 'a_module_that_is_not_there'" in reason
    assert "Remedy: " in reason


def test_a_crash_while_loading(api):
    reason = failed(api, "crash-on-load", "crash_on_load")
    assert reason.startswith("load: The model did not load")
    assert "SIGSEGV" in reason
    assert "Remedy: " in reason


def test_a_load_that_takes_too_long(api):
    reason = failed(api, "slow-load", "slow_load")
    assert "not loaded within 1 s" in reason
    assert "Remedy: " in reason


def test_no_samples(api):
    reason = failed(api, "no-samples", "no_samples")
    assert reason.startswith("inspect: ")
    assert "'upper' has no sample" in reason
    assert "--unproven" in reason
    assert "save-sample" in reason


def test_unproven_on_the_users_word_and_shown_as_such(api):
    endpoint = api.serve("unproven", "no_samples", unproven=True)
    assert endpoint["unproven"] is True
    assert endpoint["versions"][0]["unproven"] is True
    listed = api.http.get("/v1/endpoints").json()["endpoints"]
    assert [one["unproven"] for one in listed if one["name"] == "unproven"] == [True]
    assert "unproven" in api.server.cli("endpoints", "list").stdout.partition("unproven")[2]
    assert "(unproven)" in api.server.cli("describe", "unproven").stdout
    job_id = api.post("unproven", {"text": "ahoy"}).json()["id"]
    assert json.loads(api.object(api.ended(job_id)["result"])) == {"text": "AHOY"}


def test_proved_is_not_shown_as_unproven(api):
    assert api.serve("proved", unproven=True)["unproven"] is False, "it had samples, and they passed"


def test_a_sample_whose_answer_breaks_the_contract(api):
    manifest = """\
        [package]
        handler = "odd:odd"
        [tasks.odd]
        [tasks.odd.output]
        media_type = "application/json"
        schema = { required = ["even"] }
        [[tasks.odd.samples]]
        input = "one.json"
        """
    files = {"seatrial.toml": manifest, "one.json": "{}", "odd.py": "def odd():\n    return {'odd': 1}\n"}
    reason = failed(api, "contract", files)
    assert reason.startswith("prove: Sample 'one' of task 'odd' failed")
    assert '"even"' in reason
    assert "Remedy: " in reason


def test_a_sample_whose_answer_is_not_the_expected_one(api):
    files = {
        "code/inference.py": SERVES,
        "samples/a.json": '{"number": 1}',
        "samples/a.expect.json": '{"properties": {"number": {"const": 2}}}',
    }
    reason = failed(api, "expected", files)
    assert "Sample 'a'" in reason
    assert "a.expect.json" in reason
    assert "$.number" in reason
    assert "Remedy: " in reason


def test_a_sample_that_raises(api):
    handler = SERVES.replace("return data", "raise KeyError('checkpoint')")
    reason = failed(api, "raises", {"code/inference.py": handler, "samples/a.json": "{}"})
    assert "Sample 'a' failed" in reason
    assert "KeyError: 'checkpoint'" in reason
    assert "Remedy: " in reason


def test_a_sample_that_kills_its_worker(api):
    handler = "import os\n" + SERVES.replace("return data", "os._exit(4)")
    reason = failed(api, "kills", {"code/inference.py": handler, "samples/a.json": "{}"})
    assert "exit code 4" in reason
    assert "Remedy: " in reason


def test_an_endless_sample(api):
    handler = SERVES.replace("return data", "any(iter(int, 1))")
    files = {"code/inference.py": handler, "samples/a.json": "{}"}
    reason = failed(api, "endless", files, invocation_timeout_seconds=1)
    assert "longer than 1 s" in reason
    assert "Remedy: " in reason


def test_a_requirement_that_does_not_exist(api, monkeypatch):
    files = {
        "code/inference.py": SERVES,
        "code/requirements.txt": "--no-index\nno-such-package-anywhere==1.0\n",
        "samples/a.json": "{}",
    }
    reason = failed(api, "requirement", files)
    assert reason.startswith("environment: ")
    assert "no-such-package-anywhere" in reason
    assert "Remedy: " in reason


def test_a_secret_that_is_not_there(api):
    reason = failed(api, "no-secret", "obedient", secrets={"TOKEN": "env:NOT_SET_ANYWHERE"})
    assert "env:NOT_SET_ANYWHERE" in reason
    assert "Remedy: set NOT_SET_ANYWHERE in the server's environment" in reason


def test_an_output_bucket_that_is_not_there(api):
    reason = failed(api, "no-bucket", "obedient", output="s3://no-such-bucket/out")
    assert "no-such-bucket" in reason
    assert "aws s3 mb s3://no-such-bucket" in reason


def test_a_very_long_message_is_cut_and_its_remedy_kept(api):
    handler = "def model_fn(model_dir):\n    raise OSError('x' * 5_000)\n\ndef predict_fn(data, model):\n    pass\n"
    reason = failed(api, "long", {"code/inference.py": handler, "samples/a.json": "{}"})
    assert "xxx" in reason
    assert "Remedy: " in reason


def test_an_archive_that_is_none(api):
    api.server.client("s3").create_bucket(Bucket="archives")
    api.server.client("s3").put_object(Bucket="archives", Key="model.tar.gz", Body=b"no archive at all")
    for key in ("model.tar.gz", "not-there.tar.gz"):
        answer = api.http.put(f"/v1/endpoints/{key.partition('.')[0]}", json={"package": f"s3://archives/{key}"})
        assert answer.status_code == 202
        endpoint = api.settled(key.partition(".")[0])
        assert endpoint["status"] == "Failed"
        assert endpoint["failure_reason"].startswith("inspect: ")
        assert "Remedy: " in endpoint["failure_reason"]
        assert len(endpoint["failure_reason"]) <= REASON_CHARS_MAX


def test_a_failed_one_is_mended_by_an_update(api):
    failed(api, "mended", "broken_import")
    api.serve("mended", "obedient")
    assert api.run("mended", "1") == 1
    assert api.endpoint("mended")["failure_reason"] is None


# ---------------------------------------------------------------------- samples named from outside


@pytest.fixture
def samples(api, request):
    """Uploads samples; their s3:// URI."""

    def put(**bodies: object) -> str:
        s3 = api.server.client("s3")
        bucket = request.node.name.replace("_", "-")[:60]
        s3.create_bucket(Bucket=bucket)
        for name, body in bodies.items():
            s3.put_object(Bucket=bucket, Key=f"proofs/{name.replace('__', '/')}.json", Body=json.dumps(body).encode())
        return f"s3://{bucket}/proofs"

    return put


def test_samples_from_outside_prove_it(api, samples):
    uri = samples(upper__hello={"text": "hello"}, bye={"task": "upper", "text": "bye"})
    endpoint = api.serve("outside", "no_samples", samples=uri)
    assert endpoint["unproven"] is False
    prove = next(stage for stage in endpoint["versions"][0]["stages"] if stage["stage"] == "prove")
    assert {one["sample"] for one in prove["details"]["samples"]} == {"hello", "bye"}


def test_samples_from_outside_that_fail(api, samples):
    reason = failed(api, "outside-fails", "no_samples", samples=samples(upper__hello={"words": "hello"}))
    assert reason.startswith("inspect: The sample 'hello' does not meet the contract of 'upper'")
    assert "text" in reason


def test_samples_from_outside_that_are_not_there(api, samples):
    for name, uri in (("nothing", samples()), ("no-bucket-at-all", "s3://not-there-at-all/x")):
        endpoint = api.deploy(name, "no_samples", samples=uri)
        assert endpoint["status"] == "Failed"
        assert uri in endpoint["failure_reason"]
        assert "Remedy: " in endpoint["failure_reason"]
