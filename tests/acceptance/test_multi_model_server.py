"""SageMaker's own serving stack, multi-model-server with its inference toolkit, as a package's server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
INFERENCE = """
    import json, os

    def model_fn(model_dir):
        return {"scale": 3, "files": sorted(os.listdir(model_dir))}

    def input_fn(body, content_type):
        return json.loads(body)

    def predict_fn(data, model):
        return [value * model["scale"] for value in data]

    def output_fn(prediction, accept):
        return json.dumps(prediction)
"""
PACKAGE = {
    "serve.py": "from sagemaker_inference import model_server\n\nmodel_server.start_model_server()\n",
    "requirements.txt": "multi-model-server==1.1.11\nsagemaker-inference==1.10.1\nsetuptools==80.9.0\n",
    "seatrial.toml": """
        [package]
        command = ["python", "serve.py"]

        [env]
        SAGEMAKER_MODEL_SERVER_WORKERS = "1"

        [worker]
        load_timeout_seconds = 60
    """,
    "code/inference.py": INFERENCE,
    "samples/a.json": "[1, 2]",
}


@pytest.mark.slow  # it needs Java, an environment with scipy, and starts a Java server for every worker
@pytest.mark.timeout(600)
def test_multi_model_server_unmodified(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    java = [REPOSITORY / "scripts/install-system-package", "openjdk-17-jre-headless", "java"]
    installed = subprocess.run(java, capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(installed.stderr)
    monkeypatch.setattr("tests.acceptance.conftest.PATIENCE_SECONDS", 300)
    api.serve("mms", PACKAGE, workers=2)
    runtime = api.server.client("sagemaker-runtime", retries={"max_attempts": 0}, read_timeout=60)
    for _ in range(4):
        answer = runtime.invoke_endpoint(EndpointName="mms", Body=b"[2]", ContentType="application/json")
        assert json.loads(answer["Body"].read()) == [6]
    with pytest.raises(runtime.exceptions.ModelError) as error:
        runtime.invoke_endpoint(EndpointName="mms", Body=b"no json", ContentType="application/json")
    assert "JSONDecodeError" in error.value.response["OriginalMessage"]
    assert not Path("/etc/sagemaker-mms.properties").exists()  # each server's settings are its own
    broken = PACKAGE | {"code/inference.py": INFERENCE.replace('"scale"]', '"weights"]')}
    endpoint = api.deploy("broken", broken)
    assert endpoint["status"] == "Failed"
    assert "KeyError: 'weights'" in endpoint["failure_reason"]
