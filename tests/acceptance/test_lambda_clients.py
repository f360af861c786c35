"""AWS Lambda's clients, unmodified: boto3 and `aws lambda` invoke any endpoint by its name."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

MIB = 1_048_576


@pytest.fixture
def functions(api: Any) -> Any:
    """A boto3 client of a server that has the endpoint `plain`."""
    api.serve("plain") if api.http.get("/v1/endpoints/plain").status_code == 404 else None
    return api.server.client("lambda", retries={"max_attempts": 0}, read_timeout=60)


@pytest.fixture
def refused(functions: Any) -> Callable[..., dict[str, Any]]:
    def call(operation: str = "invoke", /, **given: Any) -> dict[str, Any]:
        with pytest.raises(ClientError) as refusal:
            getattr(functions, operation)(**{"FunctionName": "plain", **given})
        return refusal.value.response

    return call


def code(text: str) -> bytes:
    return json.dumps({"code": text}).encode()


def test_an_invocation_that_is_waited_for(functions: Any, api: Any) -> None:
    answer = functions.invoke(FunctionName="plain", Payload=code("6 * 7"))
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert json.loads(answer["Payload"].read()) == {"value": 42}
    assert "FunctionError" not in answer
    job = api.job(answer["ResponseMetadata"]["RequestId"])
    assert (job["door"], job["status"]) == ("lambda", "succeeded")


def test_the_aws_command_line(functions: Any, api: Any, aws_command: Path, tmp_path: Path) -> None:
    command = [aws_command, "lambda", "invoke", "--function-name", "plain", "--log-type", "Tail",
               "--payload", code("print('ahoy') or 1").decode(),
               tmp_path / "out.json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=api.server.environment, timeout=110)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert json.loads((tmp_path / "out.json").read_text()) == {"value": 1}
    lines = base64.b64decode(told["LogResult"]).decode().splitlines()
    assert [line.split(" ")[0] for line in lines] == ["START", "ahoy", "END", "REPORT"]
    assert "Max Memory Used: " in lines[-1]


def test_an_event_is_accepted_and_runs(functions: Any, api: Any, gate: Any) -> None:
    """Unlike at RIE, where it blocks (aws-lambda-runtime-interface-emulator#32)."""
    answer = functions.invoke(FunctionName="plain", InvocationType="Event", Payload=code(gate.code))
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    gate.reached()
    gate.open()
    assert api.ended(answer["ResponseMetadata"]["RequestId"])["status"] == "succeeded"


def test_a_dry_run_runs_nothing(functions: Any, api: Any, refused: Any) -> None:
    before = api.http.get("/v1/jobs", params={"endpoint": "plain"}).json()["jobs"]
    dry = functions.invoke(FunctionName="plain", InvocationType="DryRun", Payload=b"{}")
    assert (dry["StatusCode"], dry["Payload"].read()) == (204, b"")
    assert api.http.get("/v1/jobs", params={"endpoint": "plain"}).json()["jobs"] == before
    assert refused(FunctionName="absent", InvocationType="DryRun")["Error"]["Code"] == "ResourceNotFoundException"


def test_errors_of_the_function(functions: Any, api: Any) -> None:
    answer = functions.invoke(FunctionName="plain", Payload=code("fail(ValueError('too dark'))"), LogType="Tail")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    told = json.loads(answer["Payload"].read())
    assert (told["errorType"], told["errorMessage"]) == ("ValueError", "too dark")
    assert told["requestId"] == answer["ResponseMetadata"]["RequestId"]
    assert any("raise error" in line for line in told["stackTrace"])
    own = functions.invoke(FunctionName="plain", Payload=code("fail(OwnError('no light'))"))
    assert json.loads(own["Payload"].read())["errorType"] == "too_dark"
    died = functions.invoke(FunctionName="plain", Payload=code("os._exit(3)"))
    assert died["FunctionError"] == "Unhandled"
    assert json.loads(died["Payload"].read())["errorType"] == "Runtime.ExitError"


def test_a_function_that_takes_too_long(functions: Any, api: Any) -> None:
    """An error, unlike at RIE, which answers 200 with a text."""
    api.serve("hasty", invocation_timeout_seconds=1)
    answer = functions.invoke(FunctionName="hasty", Payload=code("time.sleep(60)"), LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    told = json.loads(answer["Payload"].read())
    assert told["errorType"] == "Sandbox.Timedout"
    assert told["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert "Task timed out after 1.00 seconds" in base64.b64decode(answer["LogResult"]).decode()


def test_a_second_invocation_waits_for_its_turn(functions: Any, api: Any, gate: Any) -> None:
    """Unlike at RIE, which refuses it or dies of it (aws-lambda-runtime-interface-emulator#97)."""
    first = functions.invoke(FunctionName="plain", InvocationType="Event", Payload=code(gate.code))
    gate.reached()
    second = functions.invoke(FunctionName="plain", InvocationType="Event", Payload=code("2"))
    assert api.job(second["ResponseMetadata"]["RequestId"])["status"] == "queued"
    gate.open()
    for answer, value in ((first, ""), (second, 2)):
        assert answer["Payload"].read() == b""
        assert api.value(answer["ResponseMetadata"]["RequestId"]) == value


def test_a_full_queue_is_a_throttle(functions: Any, api: Any, refused: Any, gate: Any) -> None:
    api.serve("narrow", queue_depth_max=1)
    functions.invoke(FunctionName="narrow", InvocationType="Event", Payload=code(gate.code))["Payload"].read()
    gate.reached()
    response = refused(FunctionName="narrow", Payload=code("2"))
    assert response["Error"]["Code"] == "TooManyRequestsException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert int(response["retryAfterSeconds"]) >= 1
    assert response["Reason"] == "ConcurrentInvocationLimitExceeded"
    gate.open()


def test_payloads_that_are_refused(functions: Any, refused: Any) -> None:
    def told(**given: Any) -> tuple[str, int]:
        response = refused(**given)
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]

    assert told(Payload=b'{"code": ') == ("InvalidRequestContentException", 400)
    assert told(Payload=b'{"code": "' + b" " * 6 * MIB + b'"}') == ("RequestTooLargeException", 413)
    event = {"InvocationType": "Event", "Payload": b'{"code": "' + b" " * MIB + b'"}'}
    assert told(**event) == ("RequestTooLargeException", 413)
    assert told(ClientContext="e30tLQ==") == ("InvalidParameterValueException", 400)
    assert told(Qualifier="7") == ("ResourceNotFoundException", 404)
    assert told(FunctionName="arn:aws:lambda:us-east-1:123456789012:function:plain") == told(FunctionName="absent")
    empty = refused()  # nothing sent is an empty object, as at AWS: here the contract wants more
    assert empty["Error"]["Code"] == "InvalidRequestContentException"
    assert "code" in empty["Error"]["Message"]
    assert "Valid: " in empty["Error"]["Message"]
    odd = refused("get_function", FunctionName="plain", Qualifier="a" * 129)
    assert odd["Error"]["Code"] == "ValidationException"


def test_results_that_are_too_large(functions: Any) -> None:
    large = functions.invoke(FunctionName="plain", Payload=code("'x' * 7_000_000"))
    told = json.loads(large["Payload"].read())
    assert told["errorType"] == "Function.ResponseSizeTooLarge"
    assert "s3://" in told["errorMessage"]


def test_an_invocation_that_is_sent_again_is_one_job(api: Any, functions: Any) -> None:
    """Every attempt of a call of boto3 carries the same id."""
    fixed = api.server.client("lambda", retries={"max_attempts": 0})
    fixed.meta.events.register_first(
        "before-send.lambda.Invoke",
        lambda request, **_: request.headers.__setitem__("amz-sdk-invocation-id", b"the-same") or None,
    )
    fixed.meta.events.register_first(
        "before-sign.lambda.Invoke",
        lambda request, **_: request.headers.__setitem__("amz-sdk-invocation-id", "the-same"),
    )
    answers = [fixed.invoke(FunctionName="plain", Payload=code("time.time()")) for _ in range(2)]
    assert len({answer["ResponseMetadata"]["RequestId"] for answer in answers}) == 1
    assert len({answer["Payload"].read() for answer in answers}) == 1


def test_what_functions_look_like(functions: Any, api: Any, refused: Any) -> None:
    functions.get_waiter("function_active_v2").wait(FunctionName="plain")
    functions.get_waiter("function_updated_v2").wait(FunctionName="plain")
    function = functions.get_function(FunctionName="plain")["Configuration"]
    alone = functions.get_function_configuration(FunctionName="plain:$LATEST")
    assert {**function, "FunctionArn": function["FunctionArn"] + ":$LATEST"}.items() <= alone.items()
    assert function["FunctionArn"] == "arn:aws:lambda:us-east-1:000000000000:function:plain"
    assert (function["State"], function["LastUpdateStatus"]) == ("Active", "Successful")
    for name in (function["FunctionArn"], "plain:1"):
        answer = functions.invoke(FunctionName=name, Payload=code("1"))
        assert (answer["StatusCode"], json.loads(answer["Payload"].read())) == (200, {"value": 1})
    listed = [one for page in functions.get_paginator("list_functions").paginate() for one in page["Functions"]]
    assert "plain" in [one["FunctionName"] for one in listed]
    assert len(listed) == len(api.http.get("/v1/endpoints").json()["endpoints"])
    first = functions.list_functions(MaxItems=1)
    assert len(first["Functions"]) == 1
    with pytest.raises(ClientError, match="not offered here"):
        functions.list_aliases(FunctionName="plain")
    with pytest.raises(ClientError, match="not offered here"):
        functions.put_function_event_invoke_config(FunctionName="plain", MaximumRetryAttempts=1)


def test_the_log_of_a_function(functions: Any, api: Any) -> None:
    words = code("print('found by its function')")
    functions.invoke(FunctionName="plain", Payload=words, LogType="Tail")["Payload"].read()
    logs = api.server.client("logs")
    group = functions.get_function_configuration(FunctionName="plain")["LoggingConfig"]["LogGroup"]
    assert group == "/aws/lambda/plain"
    found = logs.filter_log_events(logGroupName=group, filterPattern='"found by its function"')["events"]
    assert [one["message"] for one in found] == ["found by its function"]
    prefix = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]
    assert group in [one["logGroupName"] for one in prefix]
    assert not any("lambda" in one["logGroupName"] for one in logs.describe_log_groups()["logGroups"])
