"""A package says where it loads, how fast, what its log will say and what its outputs are; a server holds it to that.

Deployed as SageMaker's users deploy: what `seatrial.toml` says counts on that way too, and a tag of the endpoint's goes
before it.
"""

from __future__ import annotations

import base64
import io
import tarfile
import textwrap
from pathlib import Path
from typing import Any

import pytest

TOML = """
[worker]
{worker}

[tasks.draw.input.photo]
type = "image"
required = true
form = "path"
formats = ["png", "jpeg"]

[tasks.draw.output]
media_type = "application/json"

[tasks.draw.output.parts.picture]
media_type = "image/png"
validate = {{ image = {{ width = 64, height = 64 }} }}

[[tasks.draw.samples]]
name = "street"
files = {{ photo = "samples/street.png" }}
"""
HANDLER = """
import base64, struct, zlib

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

def model_fn(model_dir):
    print("weights of 12 layers loaded")
    return None

def predict_fn(data, model):
    rows = b"".join(b"\\0" + bytes((x * 3 + y * 2) % 251 for x in range(SIDE)) for y in range(SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return {"picture": base64.b64encode(b"\\x89PNG\\r\\n\\x1a\\n" + body).decode()}
"""
PROMISES = 'cold_start_seconds = 60\nload_log_patterns = ["^weights of [0-9]+ layers loaded$"]'


def packed(worker: str, picture: bytes, side: int = 64) -> bytes:
    files = {
        "seatrial.toml": TOML.format(worker=worker).encode(),
        "code/inference.py": textwrap.dedent(HANDLER).replace("SIDE", str(side)).encode(),
        "samples/street.png": picture,
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def deployed(api: Any, name: str, package: bytes, tags: dict[str, str] | None = None) -> dict[str, Any]:
    """The endpoint's description at SageMaker's door, once its trial has ended."""
    s3, sagemaker = api.server.client("s3"), api.server.client("sagemaker")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="model.tar.gz", Body=package)
    container = {"Image": "any:1", "ModelDataUrl": f"s3://{name}/model.tar.gz"}
    role = "arn:aws:iam::000000000000:role/SageMakerRole"
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    listed = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=listed)
    api.settled(name)
    return dict(sagemaker.describe_endpoint(EndpointName=name))


def test_promises_that_are_kept(api: Any, png: Any) -> None:
    endpoint = deployed(api, "kept", packed(PROMISES, png(30, 20)))
    assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
    stages = {one["stage"]: one for one in api.endpoint("kept")["versions"][0]["stages"]}
    load = stages["load"]["details"]
    assert load["seconds"] < 60
    assert load["memory_peak_bytes"] >= load["memory_bytes"] > 0
    assert load["device"] == "cpu"
    runs = stages["prove"]["details"]["samples"]
    assert "field 'photo' of task 'draw' as JPEG" in [one.get("as") for one in runs]
    assert runs[0]["callback"]["job_id"] == runs[0]["job_id"]
    text = api.server.cli("describe", "kept").stdout
    for words in ("60 s", "^weights of [0-9]+ layers loaded$", "picture by default with thresholds of its own"):
        assert words in text
    job = api.ended(api.post("kept", {"photo": base64.b64encode(png(30, 20)).decode()}).json()["id"])
    assert job["status"] == "succeeded"


@pytest.mark.parametrize(
    ("worker", "side", "why"),
    [
        ("cold_start_seconds = 0.001", 64, "and its budget is 0.001 s (cold_start_seconds)."),
        ('load_log_patterns = ["compiled for sm_90"]', 64, "its log does not hold 'compiled for sm_90'"),
        (PROMISES, 32, "is not valid: "),
    ],
)
def test_a_promise_that_is_broken_is_the_failure_reason(api: Any, png: Any, worker: str, side: int, why: str) -> None:
    name = f"broken-{side}-{len(worker)}"
    endpoint = deployed(api, name, packed(worker, png(30, 20), side))
    assert endpoint["EndpointStatus"] == "Failed"
    assert why in endpoint["FailureReason"]
    assert "Remedy: " in endpoint["FailureReason"]


@pytest.mark.skipif(any(Path("/dev").glob("nvidia[0-9]*")), reason="this machine has a GPU")
def test_a_tag_asks_for_a_gpu(api: Any, png: Any) -> None:
    endpoint = deployed(api, "on-a-gpu", packed(PROMISES, png(30, 20)), {"seatrial:device": "cuda"})
    assert endpoint["EndpointStatus"] == "Failed"
    assert "asks for the device cuda, and this machine shows no GPU" in endpoint["FailureReason"]
    assert "Remedy: Run the server on a machine with a GPU" in endpoint["FailureReason"]
