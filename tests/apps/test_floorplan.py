"""The third field report: a function that never starts and a job that is "Processing" for ever; then rooms."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.apps.conftest import APPS
from tests.conftest import until

APP = APPS / "floorplan"
PLANS, RESULTS = "location-detection-blueprints-development", "location-detection-results-development"
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
    with step("the wrong handler, by check on the Dockerfile"):
        named = server.cli("check", str(function / "Dockerfile"), check=False)
    assert named.returncode == 1
    assert "dist/index" in named.stdout + named.stderr
    edited(function, "Dockerfile", 'CMD ["dist/index.handler"]', 'ENTRYPOINT ["lambda_handler.handler"]')
    with step("the wrong entry point, by check on the Dockerfile"):
        named = server.cli("check", str(function / "Dockerfile"), check=False)
    assert named.returncode == 1
    assert "Runtime.InvalidEntrypoint" in named.stdout
    assert 'write CMD ["lambda_handler.handler"]' in named.stdout
    edited(function, "Dockerfile", 'ENTRYPOINT ["lambda_handler.handler"]', 'CMD ["lambda_handler.handler"]')
    assert server.cli("check", str(function / "Dockerfile"), check=False).returncode == 0

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
    answer = server.client("lambda").invoke(FunctionName="control", Payload=b"{}")
    assert json.loads(answer["Payload"].read()) == {"statusCode": 200, "body": "Hello from Lambda"}


def test_a_bucket_that_is_not_there_is_told_with_what_to_do(server: Any, buckets: Any, function: Path) -> None:
    elsewhere = server.cli(
        "deploy", str(function), "--name", "ml-inference", "--env", "RESULTS_BUCKET_NAME=nowhere", check=False
    )
    assert elsewhere.returncode == 1
    assert "results_unwritable: The bucket of the results, nowhere, takes nothing (NoSuchBucket)" in elsewhere.stderr
    assert "aws s3 mb s3://nowhere" in elsewhere.stderr


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
            plan = json.loads((function / "samples" / "event.json").read_text())
            for job in (None, {"a": 1}, "../../up"):
                refused = httpx.post(url, json=plan | {"jobId": job}, timeout=60).json()
                assert refused["errorType"] == "invalid_field"
            written = [one["Key"] for one in buckets.list_objects_v2(Bucket=RESULTS)["Contents"]]
            assert written == ["results/sample-overlay.png", "results/sample.json"]  # those of the trial
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


@contextmanager
def page(server: Any, *options: str) -> Iterator[httpx.Client]:
    """The app's page, and what a browser asks of it."""
    command = [sys.executable, str(APP / "page" / "serve.py"), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | server.variables) as running:
        try:
            assert running.stdout is not None
            with httpx.Client(base_url=running.stdout.readline().strip(), timeout=60) as browser:
                yield browser
        finally:
            running.terminate()


def ordered(browser: httpx.Client) -> dict[str, Any]:
    """An upload URL, and the job that it is for."""
    answer = browser.post("/uploads", json={"file_name": "plan.png", "media_type": "image/png"})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def ended(browser: httpx.Client, job: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        told = browser.get(f"/jobs/{job}").json()
        return told if told["status"] in ("succeeded", "failed") else None

    return dict(until(look, 60))


def test_the_whole_pipeline_and_the_job_that_was_stuck(
    server: Any, buckets: Any, pipeline: httpx.Client, step: Callable[[str], Any]
) -> None:
    plan = (APP / "samples" / "studio-flat.png").read_bytes()

    def put(browser: httpx.Client, content: bytes) -> str:
        order = ordered(browser)
        assert browser.get(f"/jobs/{order['id']}").json()["status"] == "awaiting_upload"
        answer = httpx.put(order["url"], content=content, headers={"Content-Type": "image/png"}, timeout=60)
        assert answer.status_code == 200, answer.text
        return str(order["id"])

    with page(server, "--pipeline") as browser:
        with step("a plan goes to its upload URL, its rooms are in the results"):
            job = put(browser, plan)
            assert ended(browser, job)["status"] == "succeeded"
        result = browser.get(f"/jobs/{job}/result").json()
        assert result == result_of(buckets, job)
        assert (result["jobId"], result["status"]) == (job, "completed")
        assert result["room_count"] == len(result["rooms"]) > 1
        assert buckets.head_object(Bucket=RESULTS, Key=f"results/{job}-overlay.png")["ContentType"] == "image/png"

        with step("a plan that cannot be read ends as a failed job with its reason"):
            stuck = put(browser, plan[:2_000])
            assert ended(browser, stuck)["error"]["error_type"] == "image_undecodable"
        told = result_of(buckets, stuck)
        assert told is not None
        assert (told["jobId"], told["status"], told["error_type"]) == (stuck, "failed", "image_undecodable")
        (failed,) = until(lambda: failed_jobs(pipeline), 60)
        assert failed["error"]["error_type"] == "image_undecodable"

        buckets.put_bucket_notification_configuration(Bucket=PLANS, NotificationConfiguration={})
        buckets.put_object(Bucket=PLANS, Key=f"blueprints/{stuck}.png", Body=plan)
        with step("mended, and run again with seatrial jobs retry"):
            server.cli("jobs", "retry", failed["id"])
            until(lambda: browser.get(f"/jobs/{stuck}").json()["status"] == "succeeded", 60)
        assert browser.get(f"/jobs/{stuck}/result").json()["room_count"] == result["room_count"]


def failed_jobs(http: httpx.Client) -> list[dict[str, Any]]:
    told = http.get("/v1/jobs", params={"endpoint": "ml-inference", "status": "failed"})
    return [dict(one) for one in told.json()["jobs"]]


def test_the_page_draws_what_was_found(server: Any) -> None:
    server.cli("deploy", str(APP), "--name", "floorplan")
    with page(server) as browser:
        assert "Choose a plan" in browser.get("/").text
        order = ordered(browser)
        assert browser.get(f"/jobs/{order['id']}").json()["status"] == "awaiting_upload"
        headers = {"Content-Type": "image/png", "X-Upload-Url": order["url"]}
        content = (APP / "samples" / "studio-flat.png").read_bytes()
        assert browser.put("/plan", content=content, headers=headers).status_code == 200
        assert ended(browser, order["id"])["status"] == "succeeded"
        assert browser.get(f"/jobs/{order['id']}/result").json()["room_count"] > 1
        elsewhere = headers | {"X-Upload-Url": "http://127.0.0.1:9/"}
        assert browser.put("/plan", content=content, headers=elsewhere).status_code == 400
