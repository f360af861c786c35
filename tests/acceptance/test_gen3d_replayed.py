"""A field report replayed: an endpoint in service and healthy, of which every request fails.

There a person found out by hand, half a minute after the first request, with no word from the platform. Here the same
handler never goes into service before its two faults (a task that it does not know, an answer that is made up where the
model did not load) are mended; then the very request of the report succeeds.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HANDLER = """\
import base64
import hashlib
import json
import os


def model_fn(model_dir):
    try:
        with open(os.path.join(model_dir, "sam3.json")) as weights:
            return {"sam3": json.load(weights)}
    except OSError as error:
        print(f"WARNING: SAM3 did not load: {error}")
        return {"sam3": None}


def predict_fn(data, models):
    task = data.get("task")
    if task == "get_embedding":
        return process_initialization(data, models)
    if task == "generate_3d":
        return {"status": "success", "vertices": [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]}
    raise ValueError(f"Unknown task: {task}")


def process_initialization(data, models):
    if models["sam3"] is None:
        return {"status": "success", "embedding": [0.0] * 4, "embedding_mock": True}
    digest = hashlib.sha256(base64.b64decode(data["image"])).digest()
    return {"status": "success", "embedding": [byte * models["sam3"]["scale"] for byte in digest[:4]]}
"""
CONTRACT = """\
[package]
name = "gen3d"

[tasks.get_embedding]
aliases = ["initialization"]
extra_fields = true
latency_seconds_max = 10

[tasks.get_embedding.input.image]
type = "image"
required = true
formats = ["png"]
key_field = "image_s3_key"
bucket_field = "bucket"

[tasks.get_embedding.output.schema]
type = "object"
required = ["status", "embedding"]

[[tasks.get_embedding.samples]]
files = { image = "samples/plan.png" }

[tasks.generate_3d]

[[tasks.generate_3d.samples]]
name = "cube"
input = "samples/generate_3d.json"
"""


@pytest.fixture
def payload(png: Callable[[int, int], bytes]) -> dict[str, Any]:
    """The request of the report: a task that the handler has no word for, a picture in base64 where it wants a key."""
    return {"task": "initialization", "image": base64.b64encode(png(10, 10)).decode()}


@pytest.fixture
def package(tmp_path: Path, payload: dict[str, Any]) -> Path:
    """The package as it was deployed, with the payload of the report as its sample."""
    root = tmp_path / "gen3d"
    for name, text in {"code/inference.py": HANDLER, "samples/test-payload.json": json.dumps(payload)}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_from_a_healthy_endpoint_that_fails_to_one_that_is_proved(
    package: Path, payload: dict[str, Any], server: Any, step: Callable[[str, str], Any], tmp_path: Path
) -> None:
    with step("a deployment whose sample is the payload fails", "InService, and healthy"):
        refused = server.cli("deploy", str(package), "--name", "gen3d", check=False)
    assert refused.returncode == 1
    assert "prove: Sample 'test-payload' failed" in refused.stderr
    assert "Unknown task: initialization" in refused.stderr
    described = server.client("sagemaker").describe_endpoint(EndpointName="gen3d")
    assert described["EndpointStatus"] == "Failed"
    assert "Unknown task: initialization" in described["FailureReason"]

    (package / "samples/plan.png").write_bytes(base64.b64decode(payload["image"]))
    (package / "samples/test-payload.json").unlink()
    (package / "samples/generate_3d.json").write_text("{}")
    (package / "seatrial.toml").write_text(CONTRACT)
    with step("with a contract, a made-up embedding is found out", "never: `embedding_mock: true` passed"):
        made_up = server.cli("deploy", str(package), "--name", "gen3d-mock", check=False)
    assert made_up.returncode == 1
    assert "prove: " in made_up.stderr
    assert "embedding_mock" in made_up.stderr

    (package / "sam3.json").write_text('{"scale": 0.5}')
    with step("mended: both tasks, the alias and every input form proved", "the report ends before that"):
        deployed = server.cli("deploy", str(package), "--name", "gen3d-fixed")
    assert "InService" in deployed.stdout

    s3, runtime = server.client("s3"), server.client("sagemaker-runtime")
    s3.create_bucket(Bucket="gen3d-data-bucket")
    s3.put_object(Bucket="gen3d-data-bucket", Key="async-input/test-payload.json", Body=json.dumps(payload).encode())
    with step("the very request of the report, through boto3", "an error object after 5 s"):
        answer = runtime.invoke_endpoint_async(
            EndpointName="gen3d-fixed", InputLocation="s3://gen3d-data-bucket/async-input/test-payload.json"
        )
        bucket, key = answer["OutputLocation"].removeprefix("s3://").split("/", 1)
        s3.get_waiter("object_exists").wait(Bucket=bucket, Key=key, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    result = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    assert result["status"] == "success"
    assert any(result["embedding"])

    unknown = server.cli("invoke", "gen3d-fixed", "--input", _file(tmp_path, {"task": "x"}), "--wait", check=False)
    assert unknown.returncode != 0
    assert "get_embedding" in unknown.stderr + unknown.stdout

    with step("ten points and more, from outside: seatrial verify", "done by hand in 30 s"):
        verified = server.cli("verify", "seatrial:gen3d-fixed", "--yes", "--json", check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def _file(folder: Path, body: dict[str, Any]) -> str:
    path = folder / "request.json"
    path.write_text(json.dumps(body))
    return str(path)
