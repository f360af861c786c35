"""The first field report, replayed with the real `aws` command line.

An endpoint answered InService while every request failed, because no one had ever run a request through it.
Here the endpoint is proved before it is InService; a wrong task name ends, within seconds, as a failure object
that lists the valid tasks.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from pathlib import Path

import pytest

NAME = "Gen3DAsyncEndpointV1"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@pytest.fixture(scope="module")
def aws(shared_server, aws_command):
    def run(*arguments, check=True):
        done = subprocess.run([aws_command, *arguments], capture_output=True, text=True, env=shared_server.environment)
        assert not check or done.returncode == 0, f"aws {arguments}: {done.stderr}"
        return done

    return run


@pytest.fixture(scope="module")
def deployed(aws, archive):
    """Deployed as the reporters deployed it: upload, create-model, create-endpoint-config, create-endpoint."""
    aws("s3", "mb", "s3://gen3d-data-bucket")
    aws("s3", "cp", str(archive("tasks_sagemaker")), "s3://gen3d-data-bucket/models/model.tar.gz")
    container = {"Image": "gen3d-sagemaker:v1.0", "ModelDataUrl": "s3://gen3d-data-bucket/models/model.tar.gz"}
    role = "arn:aws:iam::000000000000:role/SageMakerRole"
    aws("sagemaker", "create-model", "--model-name", "gen3d", "--execution-role-arn", role,
        "--primary-container", json.dumps(container))  # fmt: skip
    variant = {"VariantName": "AllTraffic", "ModelName": "gen3d", "InitialInstanceCount": 1,
               "InstanceType": "ml.g5.2xlarge"}  # fmt: skip
    output = {"S3OutputPath": "s3://gen3d-data-bucket/async-output",
              "S3FailurePath": "s3://gen3d-data-bucket/async-failures"}  # fmt: skip
    aws("sagemaker", "create-endpoint-config", "--endpoint-config-name", "gen3d-config",
        "--production-variants", json.dumps([variant]),
        "--async-inference-config", json.dumps({"OutputConfig": output}))  # fmt: skip
    aws("sagemaker", "create-endpoint", "--endpoint-name", NAME, "--endpoint-config-name", "gen3d-config")


@pytest.fixture(scope="module")
def in_service(deployed, aws, eventually):
    def status():
        described = json.loads(aws("sagemaker", "describe-endpoint", "--endpoint-name", NAME).stdout)
        return described if described["EndpointStatus"] != "Creating" else None

    described = eventually(status)
    assert described["EndpointStatus"] == "InService", described
    return described


def invoke(aws, payload: Path, key: str) -> tuple[dict[str, str], float]:
    aws("s3", "cp", str(payload), f"s3://gen3d-data-bucket/async-input/{key}")
    started = time.monotonic()
    answer = aws("sagemaker-runtime", "invoke-endpoint-async", "--endpoint-name", NAME,
                 "--input-location", f"s3://gen3d-data-bucket/async-input/{key}")  # fmt: skip
    return json.loads(answer.stdout), started


def test_a_wrong_task_name_ends_as_a_failure_object_that_lists_the_valid_ones(in_service, aws, tmp_path, eventually):
    payload = tmp_path / "test-payload.json"
    payload.write_text(json.dumps({"task": "initialization", "image": "iVBORw0KGgo="}))

    answer, started = invoke(aws, payload, "test-payload.json")

    output, failure = answer["OutputLocation"], answer["FailureLocation"]
    assert re.fullmatch(rf"s3://gen3d-data-bucket/async-output/({UUID})\.out", output)
    assert re.fullmatch(rf"s3://gen3d-data-bucket/async-failures/({UUID})-error\.out", failure)
    unique = Path(output).stem
    assert Path(failure).name == f"{unique}-error.out"
    assert unique != answer["InferenceId"]

    local = tmp_path / "error-output.txt"
    eventually(lambda: aws("s3", "cp", failure, str(local), check=False).returncode == 0, seconds=30)
    assert time.monotonic() - started < 30
    document = json.loads(local.read_text())
    assert document["status"] == "error"
    assert "get_embedding" in document["message"]
    assert "generate_3d" in document["message"]
    assert document["error_type"] == "unknown_task"
    assert aws("s3", "ls", output, check=False).returncode == 1
    assert aws("s3", "ls", "s3://gen3d-data-bucket/async-output/", check=False).stdout == ""


def test_a_right_task_ends_as_an_output_object(in_service, aws, tmp_path, eventually, png):
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps({"task": "get_embedding", "image": base64.b64encode(png(16, 16)).decode()}))

    answer, _ = invoke(aws, payload, "test2.json")

    local = tmp_path / "result.json"
    eventually(lambda: aws("s3", "cp", answer["OutputLocation"], str(local), check=False).returncode == 0)
    assert "embedding" in json.loads(local.read_text())
    assert aws("s3", "ls", answer["FailureLocation"], check=False).returncode == 1


def test_the_log_tells_that_the_model_loaded(in_service, aws):
    """`aws logs tail` belongs to version 2 of the command line; this is the call that it makes."""
    group = f"/aws/sagemaker/Endpoints/{NAME}"
    five_minutes_ago = str(int((time.time() - 300) * 1000))
    found = aws(
        "logs", "filter-log-events", "--log-group-name", group, "--interleaved", "--start-time", five_minutes_ago
    )
    messages = [event["message"] for event in json.loads(found.stdout)["events"]]
    assert any("load passed" in message for message in messages)
    assert any("in service" in message for message in messages)


def test_describe_shows_what_the_reporters_looked_at(in_service, aws):
    assert in_service["EndpointName"] == NAME
    assert in_service["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert "CreationTime" in in_service
    missing = aws("sagemaker", "describe-endpoint", "--endpoint-name", "nowhere", check=False)
    assert missing.returncode != 0
    assert "ValidationException" in missing.stderr


def test_deleting_takes_the_endpoint_away(in_service, aws):
    aws("sagemaker", "delete-endpoint", "--endpoint-name", NAME)
    aws("sagemaker", "wait", "endpoint-deleted", "--endpoint-name", NAME)
    aws("sagemaker", "delete-endpoint-config", "--endpoint-config-name", "gen3d-config")
    listed = json.loads(aws("sagemaker", "list-endpoints").stdout)
    assert listed["Endpoints"] == []
