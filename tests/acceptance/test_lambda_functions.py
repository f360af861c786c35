"""An unmodified boto3 makes, changes and deletes functions of AWS Lambda."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
ROLE = "arn:aws:iam::000000000000:role/any"
CODE = """
import os
def handler(event, context):
    return {"word": os.environ.get("WORD"), "memory": context.memory_limit_in_mb, "of": "%s"}
"""


def zipped(of: str, **more: str) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {"app.py": CODE % of, "samples/one.json": "{}", **more}.items():
            archive.writestr(name, text)
    return body.getvalue()


def invoke(client: Any) -> Any:
    return json.loads(client.invoke(FunctionName="made", Payload=b"{}")["Payload"].read())


def test_the_life_of_a_function(api: Any) -> None:
    client = api.server.client("lambda", retries={"max_attempts": 0}, read_timeout=60)
    soon = {"Delay": 1, "MaxAttempts": 60}
    made = client.create_function(
        FunctionName="made", Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": zipped("first")},
        Timeout=7, MemorySize=300, Environment={"Variables": {"WORD": "ahoy"}}, Description="Says a word",
    )  # fmt: skip
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["State"] == "Pending"
    client.get_waiter("function_active_v2").wait(FunctionName="made", WaiterConfig=soon)
    assert invoke(client) == {"word": "ahoy", "memory": "300", "of": "first"}
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.create_function(
            FunctionName="made", Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": zipped("x")}
        )

    s3 = api.server.client("s3")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="second.zip", Body=zipped("second"))
    updated = client.update_function_code(FunctionName="made", S3Bucket="code", S3Key="second.zip")
    assert updated["LastUpdateStatus"] == "InProgress"
    client.get_waiter("function_updated_v2").wait(FunctionName="made", WaiterConfig=soon)
    assert invoke(client) == {"word": "ahoy", "memory": "300", "of": "second"}

    client.update_function_configuration(FunctionName="made", Environment={"Variables": {"WORD": "avast"}}, Timeout=9)
    client.get_waiter("function_updated_v2").wait(FunctionName="made", WaiterConfig=soon)
    assert invoke(client) == {"word": "avast", "memory": "300", "of": "second"}
    told = client.get_function(FunctionName="made")["Configuration"]
    assert (told["Runtime"], told["Handler"], told["Timeout"], told["MemorySize"]) == (RUNTIME, "app.handler", 9, 300)
    assert (told["Role"], told["Description"]) == (ROLE, "Says a word")

    client.delete_function(FunctionName="made")
    for _ in range(60):
        if api.http.get("/v1/endpoints/made", params={"wait": 2}).status_code == 404:
            break
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_function(FunctionName="made")


def test_what_cannot_be_a_function(api: Any) -> None:
    client = api.server.client("lambda", retries={"max_attempts": 0}, parameter_validation=False)

    def refused(**given: Any) -> str:
        good = {"FunctionName": "odd", "Runtime": RUNTIME, "Role": ROLE, "Handler": "app.handler"}
        with pytest.raises(ClientError) as refusal:
            client.create_function(**{**good, "Code": {"ZipFile": zipped("x")}, **given})
        error = refusal.value.response["Error"]
        return f"{error['Code']}: {error['Message']}"

    assert refused(Code={"ZipFile": b"no zip"}).startswith("InvalidParameterValueException: Could not unzip uploaded")
    assert "NoSuchKey" in refused(Code={"S3Bucket": "nowhere", "S3Key": "k"})
    assert "Please provide a source" in refused(Code={})
    assert "nodejs22.x" in refused(Runtime="nodejs22.x", Handler="index.handler")
    assert "Layers is not offered here" in refused(Layers=["arn:aws:lambda:us-east-1:000000000000:layer:l:1"])
    assert refused(MemorySize=1).startswith("ValidationException")
    assert api.http.get("/v1/endpoints/odd").status_code == 404


def test_code_that_leaves_its_folder_is_refused_by_the_trial(api: Any) -> None:
    client = api.server.client("lambda")
    client.create_function(
        FunctionName="leaving", Runtime=RUNTIME, Role=ROLE, Handler="app.handler",
        Code={"ZipFile": zipped("x", **{"../../outside.py": "1"})},
    )  # fmt: skip
    endpoint = api.settled("leaving")
    assert endpoint["status"] == "Failed"
    assert "leaves the package" in endpoint["failure_reason"]
