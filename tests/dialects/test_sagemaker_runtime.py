"""SageMaker's runtime through an unmodified boto3 and the real `aws`, on a real server."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

NAME = "Plans"
PACKAGES = Path(__file__).parents[1] / "packages"
PIXEL = base64.b64encode((PACKAGES / "tasks_sagemaker/samples/pixel.png").read_bytes()).decode()
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture(scope="module")
def served(shared_server: Any, archive: Callable[[str], Path]) -> Any:
    """A server with the two-task package in service as `Plans`, its results in s3://plans/out."""
    server = shared_server
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    s3.create_bucket(Bucket="plans")
    s3.upload_file(str(archive("tasks_sagemaker")), "plans", "model.tar.gz")
    sagemaker.create_model(ModelName="m", PrimaryContainer={"ModelDataUrl": "s3://plans/model.tar.gz"})
    sagemaker.create_endpoint_config(
        EndpointConfigName="c",
        ProductionVariants=[
            {"VariantName": "Only", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        ],
        AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://plans/out", "S3FailurePath": "s3://plans/failed"}},
    )
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName="c")
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=NAME, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
    return server


@pytest.fixture
def runtime(served: Any) -> Any:
    return served.client("sagemaker-runtime", retries={"max_attempts": 0})


def payload(**more: Any) -> bytes:
    return json.dumps({"task": "get_embedding", "image": PIXEL, **more}).encode()


def refusal(call: Callable[..., Any], endpoint: str = NAME, **given: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as refused:
        call(EndpointName=endpoint, **given)
    return refused.value.response


def fetch(server: Any, location: str, eventually: Callable[..., Any]) -> bytes:
    """What a poller of an output location gets in the end."""
    s3 = server.client("s3")
    bucket, key = location.removeprefix("s3://").split("/", 1)

    def look() -> bytes | None:
        try:
            return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None

    found = eventually(look, 20)
    assert isinstance(found, bytes)
    return found


def test_asynchronous_invocations(served: Any, runtime: Any, eventually: Callable[..., Any], aws_command: Path) -> None:
    s3 = served.client("s3")
    s3.put_object(Bucket="plans", Key="in/a b.json", Body=payload(), ContentType="application/json")

    by_reference = runtime.invoke_endpoint_async(EndpointName=NAME, InputLocation="s3://plans/in/a b.json")
    assert by_reference["ResponseMetadata"]["HTTPStatusCode"] == 202
    unique = re.fullmatch(rf"s3://plans/out/({UUID})\.out", by_reference["OutputLocation"])
    assert unique is not None
    assert by_reference["FailureLocation"] == f"s3://plans/failed/{unique[1]}-error.out"
    assert by_reference["InferenceId"] != unique[1]
    result = json.loads(fetch(served, by_reference["OutputLocation"], eventually))
    assert len(result["embedding"]) == 16

    chosen = runtime.invoke_endpoint_async(
        EndpointName=NAME,
        Body=payload(),
        ContentType="application/json",
        Accept="application/json",
        InferenceId="mine 1",
        CustomAttributes="trace=1",
        RequestTTLSeconds=60,
        InvocationTimeoutSeconds=3600,
        S3OutputPathExtension="today/a",
        Filename="plan.json",
    )
    assert (chosen["InferenceId"], chosen["OutputLocation"]) == ("mine 1", "s3://plans/out/today/a/plan.json")
    assert json.loads(fetch(served, chosen["OutputLocation"], eventually)) == result

    wrong = runtime.invoke_endpoint_async(EndpointName=NAME, Body=payload(task="initialization"))
    failure = json.loads(fetch(served, wrong["FailureLocation"], eventually))
    assert (failure["status"], failure["error_type"]) == ("error", "unknown_task")

    done = subprocess.run(
        [aws_command, "sagemaker-runtime", "invoke-endpoint-async", "--endpoint-name", NAME,
         "--input-location", "s3://plans/in/a b.json"],
        capture_output=True, text=True, env=served.environment, check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert json.loads(fetch(served, answer["OutputLocation"], eventually)) == result


def test_synchronous_invocations(served: Any, runtime: Any) -> None:
    answer = runtime.invoke_endpoint(
        EndpointName=NAME, Body=payload(), ContentType="application/json", CustomAttributes="trace=1"
    )
    assert len(json.loads(answer["Body"].read())["embedding"]) == 16
    assert (answer["InvokedProductionVariant"], answer["CustomAttributes"]) == ("Only", "trace=1")
    assert answer["ContentType"] == "application/json"

    unknown = refusal(runtime.invoke_endpoint, Body=payload(task="initialization"), ContentType="application/json")
    assert unknown["Error"]["Code"] == "ModelError"
    assert unknown["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert unknown["OriginalStatusCode"] == 400
    assert json.loads(unknown["OriginalMessage"])["error_type"] == "unknown_task"
    assert unknown["LogStreamArn"].endswith(":log-group:/aws/sagemaker/Endpoints/Plans")


def test_refusals(served: Any, runtime: Any) -> None:
    asynchronous = runtime.invoke_endpoint_async

    def said(call: Callable[..., Any], **given: Any) -> str:
        error = refusal(call, **given)["Error"]
        assert error["Code"] == "ValidationError"
        return error["Message"]

    assert "Either InputLocation or Body" in said(asynchronous)
    assert "exclude each other" in said(asynchronous, Body=b"{}", InputLocation="s3://plans/in.json")
    assert "There is no object s3://plans/none.json" in said(asynchronous, InputLocation="s3://plans/none.json")
    assert "not an object of this server" in said(asynchronous, InputLocation="https://example.com/plans/in.json")
    assert "without '.' and '..'" in said(asynchronous, Body=b"{}", S3OutputPathExtension="a/../../b")
    assert "at 'filename' failed" in said(asynchronous, Body=b"{}", Filename="a/b")
    assert "less than or equal to 21600" in said(asynchronous, Body=b"{}", RequestTTLSeconds=21_601)
    assert "larger than 128000 bytes" in said(asynchronous, Body=b"x" * 128_001)
    assert "larger than 6291456 bytes" in said(runtime.invoke_endpoint, Body=b"x" * 6_291_457)
    assert "TargetModel is not offered" in said(runtime.invoke_endpoint, Body=b"{}", TargetModel="a")
    with pytest.raises(runtime.exceptions.ValidationError, match="Endpoint none of account 000000000000 not found"):
        asynchronous(EndpointName="none", Body=b"{}")
    streaming = refusal(runtime.invoke_endpoint_with_response_stream, Body=b"{}")
    assert streaming["Error"]["Code"] == "UnknownOperationException"


def test_an_endpoint_that_failed_is_no_reason_to_try_again(shared_server: Any, package: Callable[[str], Path]) -> None:
    server = shared_server
    server.cli("deploy", str(package("broken_import")), "--name", "broken", check=False)
    attempts: list[str] = []
    runtime = server.client("sagemaker-runtime", retries={"total_max_attempts": 3, "mode": "standard"})
    runtime.meta.events.register("before-send.sagemaker-runtime", lambda request, **_: attempts.append(request.url))
    for call in (runtime.invoke_endpoint_async, runtime.invoke_endpoint):
        refused = refusal(call, endpoint="broken", Body=b"{}")
        assert (refused["Error"]["Code"], refused["ResponseMetadata"]["HTTPStatusCode"]) == ("ValidationError", 400)
        assert "is Failed, not InService" in refused["Error"]["Message"]
        assert "load" in refused["Error"]["Message"]
    assert len(attempts) == 2


def test_the_same_attempt_twice_is_one_job(served: Any, runtime: Any) -> None:
    """What boto3 does after a lost reply: the same amz-sdk-invocation-id again."""

    def same_call(request: Any, **_: Any) -> None:
        request.headers["amz-sdk-invocation-id"] = "11111111-2222-3333-4444-555555555555"

    runtime.meta.events.register("before-send.sagemaker-runtime.InvokeEndpointAsync", same_call)
    first, again = (runtime.invoke_endpoint_async(EndpointName=NAME, Body=payload()) for _ in range(2))
    for member in ("InferenceId", "OutputLocation", "FailureLocation"):
        assert first[member] == again[member]
    other = refusal(runtime.invoke_endpoint_async, Body=payload(session_id="another"))
    assert other["Error"]["Code"] == "ValidationError"
    assert "belongs to a different request" in other["Error"]["Message"]
