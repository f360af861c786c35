"""The third field report: a function that never starts and a job that is "Processing" for ever; then rooms."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.apps.conftest import APPS
from tests.conftest import until

APP = APPS / "floorplan"
PLANS, RESULTS = "location-detection-blueprints-development", "location-detection-results-development"
JOB = "215c9ff2-332a-4f63-8241-e072f8925225"  # the job of the report
ROLE = "arn:aws:iam::000000000000:role/any"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]  # OpenCV is installed and loaded by several deployments


@pytest.fixture
def function(tmp_path: Path) -> Path:
    """The function's folder, as `aws/build.py` puts it together."""
    folder = tmp_path / "function"
    subprocess.run([sys.executable, APP / "aws" / "build.py", folder], check=True)
    return folder


@pytest.fixture
def buckets(server: Any) -> Any:
    """The report's two buckets, with the sample's plan in its place."""
    s3 = server.client("s3")
    for bucket in (PLANS, RESULTS):
        s3.create_bucket(Bucket=bucket)
    s3.upload_file(str(APP / "samples" / "studio-flat.png"), PLANS, "samples/studio-flat.png")
    return s3


def edited(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def test_what_kept_the_function_from_starting_is_told_before_and_at_its_deployment(
    server: Any, buckets: Any, function: Path, step: Callable[[str], Any]
) -> None:
    deploy = ("--name", "ml-inference", "--env", f"RESULTS_BUCKET_NAME={RESULTS}")
    edited(function, "Dockerfile", 'CMD ["lambda_handler.handler"]', 'CMD ["dist/index.handler"]')
    with step("the wrong entry point, by check on the Dockerfile"):
        named = server.cli("check", str(function / "Dockerfile"), check=False)
    assert named.returncode == 1
    assert "dist/index" in named.stdout + named.stderr

    edited(function, "seatrial.toml", "lambda_handler.handler", "lambda_handler.main")
    refused = server.cli("deploy", str(function), *deploy, check=False)
    assert refused.returncode == 1
    assert "main" in refused.stderr
    edited(function, "seatrial.toml", "lambda_handler.main", "lambda_handler.handler")

    edited(function, "requirements.txt", "opencv-python-headless==5.0.0.93\n", "")
    missing = server.cli("deploy", str(function), *deploy, "--update", check=False)
    assert missing.returncode == 1
    assert "cv2" in missing.stderr

    control = function.parent / "control"
    control.mkdir()
    (control / "seatrial.toml").write_text((function / "seatrial.toml").read_text())
    minimal = "def handler(event, context):\n    return {'statusCode': 200, 'body': 'Hello from Lambda'}\n"
    (control / "lambda_handler.py").write_text(minimal)
    shutil.copytree(function / "samples", control / "samples")
    with step("the minimal handler, as a control"):
        server.cli("deploy", str(control), "--name", "control")


def test_on_the_local_invocation_port_it_answers_or_says_why_not(server: Any, buckets: Any, function: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "seatrial",
        "lambda",
        "run",
        str(function),
        "lambda_handler.handler",
        "--port",
        "0",
    ]
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    environment = {"RESULTS_BUCKET_NAME": RESULTS} | {name: server.variables[name] for name in names}
    given = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
    with subprocess.Popen(
        [*command, *given, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | server.variables,
    ) as running:
        try:
            assert running.stdout is not None
            url = json.loads(running.stdout.readline())["url"]
            empty = httpx.post(url, content="{}", timeout=60).json()
            assert (empty["errorType"], "'bucket'" in empty["errorMessage"]) == ("missing_field", True)
        finally:
            running.terminate()


@pytest.fixture
def pipeline(server: Any, buckets: Any, function: Path) -> Iterator[Any]:
    """Upload, notification, trigger, inference: every part of the report's picture."""
    server.cli("deploy", str(function), "--name", "ml-inference", "--env", f"RESULTS_BUCKET_NAME={RESULTS}")
    key = json.loads(server.cli("keys", "create", "--scope", "submit", "--endpoint", "ml-inference", "--json").stdout)
    body = function.parent / "trigger.zip"
    with zipfile.ZipFile(body, "w") as archive:
        archive.write(APP / "aws" / "inference_trigger.py", "inference_trigger.py")
        archive.writestr("samples/none.json", '{"Records": []}')
    env = {
        "ML_FUNCTION_NAME": "ml-inference",
        "AWS_ACCESS_KEY_ID": key["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": key["secret_access_key"],
    }
    client = server.client("lambda")
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    client.create_function(
        FunctionName="inference-trigger", Runtime=runtime, Role=ROLE, Handler="inference_trigger.handler",
        Code={"ZipFile": body.read_bytes()}, Environment={"Variables": env}, Timeout=30,
    )  # fmt: skip
    client.get_waiter("function_active_v2").wait(FunctionName="inference-trigger", WaiterConfig={"Delay": 1})
    rules = [{"Name": "prefix", "Value": "blueprints/"}]
    notified = {"Events": ["s3:ObjectCreated:*"], "LambdaFunctionArn": f"{ARN}inference-trigger"}
    configuration = {"LambdaFunctionConfigurations": [notified | {"Filter": {"Key": {"FilterRules": rules}}}]}
    buckets.put_bucket_notification_configuration(Bucket=PLANS, NotificationConfiguration=configuration)
    with httpx.Client(
        base_url=server.url, headers={"Authorization": f"Bearer {server.variables['SEATRIAL_API_KEY']}"}, timeout=60
    ) as http:
        yield http


def result_of(s3: Any, job: str) -> dict[str, Any] | None:
    try:
        return dict(json.loads(s3.get_object(Bucket=RESULTS, Key=f"results/{job}.json")["Body"].read()))
    except s3.exceptions.NoSuchKey:
        return None


def test_the_whole_pipeline_and_the_job_that_was_stuck(
    server: Any, buckets: Any, pipeline: httpx.Client, aws_command: Path, step: Callable[[str], Any]
) -> None:
    def put(path: Path, job: str) -> None:
        target = f"s3://{PLANS}/blueprints/{job}.png"
        subprocess.run([aws_command, "s3", "cp", path, target], check=True, env=server.environment, capture_output=True)

    def inferences(status: str) -> list[dict[str, Any]]:
        told = pipeline.get("/v1/jobs", params={"endpoint": "ml-inference", "status": status})
        return [dict(one) for one in told.json()["jobs"]]

    with step("a plan is put, its rooms are in the results"):
        put(APP / "samples" / "studio-flat.png", "plan-1")
        result = until(lambda: result_of(buckets, "plan-1"), 60)
    assert result["status"] == "completed"
    assert result["room_count"] == len(result["rooms"]) > 1
    assert buckets.head_object(Bucket=RESULTS, Key="results/plan-1-overlay.png")["ContentType"] == "image/png"

    damaged = (APP / "samples" / "studio-flat.png").read_bytes()[:2_000]
    with step("a plan that cannot be read ends as a failed job with its reason"):
        buckets.put_object(Bucket=PLANS, Key=f"blueprints/{JOB}.jpg", Body=damaged)
        (failed,) = until(lambda: inferences("failed"), 60)
    assert failed["error"]["error_type"] == "image_undecodable"
    assert result_of(buckets, JOB) is None

    buckets.put_bucket_notification_configuration(Bucket=PLANS, NotificationConfiguration={})
    buckets.upload_file(str(APP / "samples" / "studio-flat.png"), PLANS, f"blueprints/{JOB}.jpg")
    with step("mended, and run again with seatrial jobs retry"):
        server.cli("jobs", "retry", failed["id"])
        assert until(lambda: result_of(buckets, JOB), 60)["room_count"] == result["room_count"]


def test_the_page_draws_what_was_found(server: Any, tmp_path: Path) -> None:
    server.cli("deploy", str(APP), "--name", "floorplan")
    command = [sys.executable, str(APP / "page" / "serve.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | server.variables) as page:
        try:
            assert page.stdout is not None
            with httpx.Client(base_url=page.stdout.readline().strip(), timeout=60) as browser:
                assert "Choose a plan" in browser.get("/").text
                order = browser.post("/uploads", json={"file_name": "plan.png", "media_type": "image/png"}).json()
                assert browser.get(f"/jobs/{order['id']}").json()["status"] == "awaiting_upload"
                headers = {"Content-Type": "image/png", "X-Upload-Url": order["url"]}
                content = (APP / "samples" / "studio-flat.png").read_bytes()
                assert browser.put("/plan", content=content, headers=headers).status_code == 200
                job = f"/jobs/{order['id']}"
                until(lambda: browser.get(job).json()["status"] == "succeeded", 60)
                assert browser.get(f"{job}/result").json()["room_count"] > 1
                elsewhere = headers | {"X-Upload-Url": "http://127.0.0.1:9/"}
                assert browser.put("/plan", content=content, headers=elsewhere).status_code == 400
        finally:
            page.terminate()
