"""The first field report, with the app that a newcomer would copy: from its failure to its remedy."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from tests.apps.conftest import APPS, python_of

APP = APPS / "gen3d"
BUCKET = "gen3d-data-bucket"
LITERAL = {  # the report's own payload; the data of its picture is corrupt
    "task": "initialization",
    "image": "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk"
    "+M9Qz0AEYBxVSF+FAAD4AQMBGQdDkQAAAABJRU5ErkJggg==",
}

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]  # torch is installed, and loaded by several workers


@pytest.fixture
def without_the_alias(tmp_path: Path) -> Path:
    """The package as it would be had nobody thought of the client's word for the task."""
    folder = tmp_path / "gen3d"
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns(".venv", "__pycache__", ".pytest_cache"))
    for name, words in (
        ("seatrial.toml", 'aliases = ["initialization"]\n'),
        ("code/inference.py", '"initialization": get_embedding, '),
    ):
        text = (folder / name).read_text()
        assert words in text
        (folder / name).write_text(text.replace(words, ""))
    return folder


def test_from_the_unknown_task_to_the_ten_points(
    server: Any,
    without_the_alias: Path,
    step: Callable[[str], Any],
    png: Callable[[int, int], bytes],
    eventually: Callable[..., Any],
) -> None:
    s3, runtime = server.client("s3"), server.client("sagemaker-runtime")
    s3.create_bucket(Bucket=BUCKET)

    def ask(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """What the async endpoint leaves in storage: `result` or `failure`, and its document."""
        s3.put_object(Bucket=BUCKET, Key="async-input/payload.json", Body=json.dumps(payload).encode())
        answer = runtime.invoke_endpoint_async(
            EndpointName="gen3d", InputLocation=f"s3://{BUCKET}/async-input/payload.json"
        )
        return eventually(lambda: either(answer), 60)

    def either(answer: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        for word, location in (("result", "OutputLocation"), ("failure", "FailureLocation")):
            bucket, key = answer[location].removeprefix("s3://").split("/", 1)
            try:
                return word, json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            except s3.exceptions.NoSuchKey:
                continue
        return None

    with step("deployed and proved without the alias"):
        server.cli("deploy", str(without_the_alias), "--name", "gen3d", "--python", python_of("gen3d"))
    ended, failure = ask(LITERAL)
    assert (ended, failure["error_type"]) == ("failure", "unknown_task")
    assert "get_embedding" in failure["message"]

    with step("updated with the alias, beside the old version"):
        server.cli("deploy", str(APP), "--name", "gen3d", "--python", python_of("gen3d"), "--update")
    ended, failure = ask(LITERAL)
    assert (ended, failure["error_type"]) == ("failure", "image_undecodable")
    ended, result = ask(LITERAL | {"image": base64.b64encode(png(10, 10)).decode()})
    assert (ended, result["backend"], result["shape"]) == ("result", "efficientnet-lite0", [1280])

    for name in ("teapot.png", "teapot-mask.png"):
        s3.upload_file(str(APP / "samples" / name), BUCKET, f"test-images/{name}")
    by_key = {"image_s3_key": "test-images/teapot.png", "mask_s3_key": "test-images/teapot-mask.png", "bucket": BUCKET}
    with step("the payload of the report's remedy, by keys"):
        ended, result = ask({"task": "generate_3d", "quality": "balanced", "session_id": "s", "user_id": "u", **by_key})
    assert (ended, result["backend"], result["watertight"]) == ("result", "inflation", True)
    _look_at_the_objects(s3, result)

    with step("ten points and more, by seatrial verify"):
        inputs = ("--inputs", f"s3://{BUCKET}/verify")
        contract = ("--contract", str(APP / "seatrial.toml"))
        verified = server.cli("verify", "sagemaker:gen3d", *contract, *inputs, "--yes", check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def _look_at_the_objects(s3: Any, result: dict[str, Any]) -> None:
    def content(part: str) -> bytes:
        bucket, key = result[part]["uri"].removeprefix("s3://").split("/", 1)
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    mesh = trimesh.load(io.BytesIO(content("mesh")), file_type="glb", force="mesh")
    assert len(mesh.faces) == result["face_count"]
    cloud = trimesh.load(io.BytesIO(content("points")), file_type="ply")
    assert np.isfinite(cloud.vertices).all()
    assert len(cloud.vertices) == result["point_count"]


@pytest.fixture
def with_a_stand_in(tmp_path: Path) -> Path:
    """The package with the report's other trap: the encoder answers, with no look at the picture."""
    folder = tmp_path / "gen3d"
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns(".venv", "__pycache__", ".pytest_cache"))
    path = folder / "code" / "gen3d" / "embedding" / "efficientnet.py"
    text = path.read_text()
    words = "return features.float().cpu().numpy()"
    assert words in text
    path.write_text(text.replace(words, "return np.full(1280, 1280**-0.5, np.float32)"))
    return folder


def test_an_embedding_that_is_made_up_does_not_pass_its_trial(server: Any, with_a_stand_in: Path) -> None:
    """It has the shape, the type and the length of a real one, and no word in the answer tells of it."""
    server.client("s3").create_bucket(Bucket=BUCKET)
    deploy = ("deploy", str(with_a_stand_in), "--name", "gen3d", "--python", python_of("gen3d"))
    refused = server.cli(*deploy, check=False)
    assert refused.returncode == 1
    assert "Array 'embedding' is constant" in refused.stderr
    assert server.client("sagemaker").describe_endpoint(EndpointName="gen3d")["EndpointStatus"] == "Failed"


def test_a_model_that_is_not_there_fails_the_load_and_nothing_takes_its_place(server: Any) -> None:
    server.client("s3").create_bucket(Bucket=BUCKET)
    deploy = ("deploy", str(APP), "--name", "gen3d", "--python", python_of("gen3d"))
    refused = server.cli(*deploy, "--env", "GEN3D_ENCODER=sam3", check=False)
    assert refused.returncode == 1
    assert "set GEN3D_SAM3_WEIGHTS to the folder that holds" in refused.stderr
    described = server.client("sagemaker").describe_endpoint(EndpointName="gen3d")
    assert described["EndpointStatus"] == "Failed"
    assert "GEN3D_SAM3_WEIGHTS" in described["FailureReason"]
