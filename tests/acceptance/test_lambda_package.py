"""A Lambda function's folder as it is: `lambda_function.py`, served by a worker of ours with AWS's context."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

FUNCTION = """
    import decimal, json, logging, os, time

    logger = logging.getLogger()
    logger.setLevel("INFO")


    def lambda_handler(event, context):
        do = event.get("do")
        print("at work")
        logger.info("on it")
        if do == "raise":
            raise ValueError("too dark")
        if do == "exit":
            os._exit(7)
        if do == "sleep":
            time.sleep(600)
        if do == "grow":
            kept = b"x" * 400_000_000
            time.sleep(600)
        if do == "client":
            return {"custom": context.client_context.custom, "app": context.client_context.client.app_title}
        if do == "decimal":
            return {"n": decimal.Decimal("1.5"), "whole": decimal.Decimal(2)}
        if do == "set":
            return {1, 2}
        return {
            "id": context.aws_request_id,
            "left_ms": context.get_remaining_time_in_millis(),
            "name": context.function_name,
            "version": context.function_version,
            "arn": context.invoked_function_arn,
            "memory": context.memory_limit_in_mb,
            "group": context.log_group_name,
            "stream": context.log_stream_name,
            "root": os.environ["LAMBDA_TASK_ROOT"] == os.getcwd(),
            "event": event,
        }
"""
PACKAGE = {"lambda_function.py": FUNCTION, "samples/whoami.json": '{"of": "a sample"}'}


@pytest.fixture
def functions(api: Any) -> Any:
    if api.http.get("/v1/endpoints/f").status_code == 404:
        api.serve("f", PACKAGE, invocation_timeout_seconds=30, memory_bytes_max=512 * 1_048_576)
    return api.server.client("lambda", retries={"max_attempts": 0})


def invoke(functions: Any, event: Any, **given: Any) -> tuple[dict[str, Any], Any]:
    answer = functions.invoke(FunctionName="f", Payload=json.dumps(event).encode(), **given)
    return answer, json.loads(answer["Payload"].read())


def test_the_context(functions: Any) -> None:
    answer, told = invoke(functions, {"a": 1})
    assert told["id"] == answer["ResponseMetadata"]["RequestId"]
    assert 20_000 < told["left_ms"] <= 30_000
    assert told["name"] == "f"
    assert told["version"] == "$LATEST"
    assert told["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert told["memory"] == "512"
    assert told["group"] == "/aws/lambda/f"
    assert told["stream"].startswith("f-")
    assert told["root"]
    assert told["event"] == {"a": 1}
    given = {"custom": {"k": "v"}, "client": {"app_title": "t"}}
    context = base64.b64encode(json.dumps(given).encode()).decode()
    assert invoke(functions, {"do": "client"}, ClientContext=context)[1] == {"custom": {"k": "v"}, "app": "t"}


def test_its_lines_of_log(functions: Any, api: Any) -> None:
    answer, told = invoke(functions, {}, LogType="Tail")
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    about = f"RequestId: {told['id']}"
    assert lines[:2] == [f"START {about} Version: $LATEST", "at work"]
    assert lines[2].startswith("[INFO]\t")
    assert lines[2].endswith(f"\t{told['id']}\ton it")
    assert lines[3] == f"END {about}"
    assert lines[4].startswith(f"REPORT {about}\tDuration: ")
    assert "\tMemory Size: 512 MB\tMax Memory Used: " in lines[4]
    logs = api.server.client("logs")
    kept = logs.filter_log_events(logGroupName="/aws/lambda/f", logStreamNames=[told["stream"]])["events"]
    texts = [one["message"] for one in kept]
    assert [text for text in texts if text.startswith("INIT_REPORT Init Duration: ")]
    assert set(lines) <= set(texts)


def test_what_it_raises_and_returns(functions: Any, api: Any) -> None:
    answer, told = invoke(functions, {"do": "raise"}, LogType="Tail")
    assert (answer["FunctionError"], told["errorType"], told["errorMessage"]) == ("Unhandled", "ValueError", "too dark")
    assert "[ERROR] ValueError: too dark" in base64.b64decode(answer["LogResult"]).decode()
    assert invoke(functions, {"do": "decimal"})[1] == {"n": 1.5, "whole": 2}
    assert invoke(functions, {"do": "set"})[1]["errorType"] == "output_not_serialisable"
    assert invoke(functions, {"do": "exit"})[1]["errorType"] == "Runtime.ExitError"
    unreadable = api.http.post("/v1/endpoints/f/jobs", content=b"\x89PNG", headers={"Content-Type": "image/png"})
    failure = json.loads(api.object(api.ended(unreadable.json()["id"])["failure"]))
    assert failure["error_type"] == "malformed_input"


def test_its_memory_is_limited(api: Any) -> None:
    api.serve("small", PACKAGE, memory_bytes_max=128 * 1_048_576)
    client = api.server.client("lambda", retries={"max_attempts": 0})
    answer = client.invoke(FunctionName="small", Payload=b'{"do": "grow"}', LogType="Tail")
    told = json.loads(answer["Payload"].read())
    assert (answer["FunctionError"], told["errorType"]) == ("Unhandled", "Runtime.OutOfMemory")
    assert json.loads(client.invoke(FunctionName="small", Payload=b"{}")["Payload"].read())["memory"] == "128"


def test_the_log_of_a_function_that_was_killed(api: Any) -> None:
    api.serve("late", PACKAGE, invocation_timeout_seconds=1)
    client = api.server.client("lambda", retries={"max_attempts": 0})
    answer = client.invoke(FunctionName="late", Payload=b'{"do": "sleep"}', LogType="Tail")
    answer["Payload"].read()
    job_id = answer["ResponseMetadata"]["RequestId"]
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    assert lines[0] == f"START RequestId: {job_id} Version: $LATEST"
    assert lines[-3:-1] == [f"{job_id} Task timed out after 1.00 seconds", f"END RequestId: {job_id}"]
    assert lines[-1].endswith("\tStatus: timeout")
    assert set(lines) <= set(api.lines("late"))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"lambda_function.py": "import os\nos.environ['NOWHERE']\ndef lambda_handler(e, c): ..."}, "KeyError"),
        (
            {"lambda_function.py": "def lambda_handler(e, c): ...\nraise ImportError(\"No module named 'x'\")"},
            "Runtime.ImportModuleError: Unable to import module 'lambda_function': No module named 'x'",
        ),
        (
            {"lambda_function.py": "globals().update({'lambda_' + 'other': print})\nfrom os.path import *"},
            "Runtime.HandlerNotFound: Handler 'lambda_handler' missing on module 'lambda_function'",
        ),
    ],
    ids=["raises", "import", "handler"],
)
def test_a_function_that_cannot_start_fails_its_deployment(api: Any, files: dict[str, str], reason: str) -> None:
    """Unlike at AWS, where it is found out by the first invocation."""
    name = f"unable-{len(reason)}"
    endpoint = api.deploy(name, {**files, "samples/one.json": "{}"})
    assert endpoint["status"] == "Failed"
    assert reason in endpoint["failure_reason"]
    function = api.server.client("lambda").get_function_configuration(FunctionName=name)
    assert function["State"] == "Failed"
    assert reason in function["StateReason"]
