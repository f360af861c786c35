"""An unmodified boto3 makes, changes and deletes functions of AWS Lambda."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from typing import Any

import httpx
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


LAYERED = """
import os, shutil, subprocess
import tools, words

def handler(event, context):
    return {
        "words": words.WORD, "tool": tools.NAME, "at": os.path.dirname(words.__file__),
        "data": open("/opt/data/one.txt").read() + open("/opt/data/two.txt").read(),
        "said": subprocess.run(["speak"], capture_output=True, text=True).stdout,
    }
"""


def layer(**files: str) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, text in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = (0o755 if name.startswith("bin/") else 0o644) << 16
            archive.writestr(member, text)
    return body.getvalue()


def test_layers_are_found_at_opt(api: Any) -> None:
    client = api.server.client("lambda", retries={"max_attempts": 0}, read_timeout=60)
    site = f"python/lib/{RUNTIME}/site-packages"
    lower = layer(**{f"{site}/words.py": "WORD = 'low'", "python/tools.py": "NAME = 'hammer'", "data/one.txt": "1"})
    upper = layer(**{f"{site}/words.py": "WORD = 'high'", "data/two.txt": "2", "bin/speak": "#!/bin/sh\necho ahoy\n"})
    first = client.publish_layer_version(LayerName="tools", Content={"ZipFile": lower}, Description="Words")
    assert (first["Version"], first["ResponseMetadata"]["HTTPStatusCode"]) == (1, 201)
    assert first["Content"]["CodeSize"] == len(lower)
    s3 = api.server.client("s3")
    s3.create_bucket(Bucket="layers")
    s3.put_object(Bucket="layers", Key="upper.zip", Body=upper)
    second = client.publish_layer_version(LayerName="tools", Content={"S3Bucket": "layers", "S3Key": "upper.zip"})
    assert [one["Version"] for one in client.list_layer_versions(LayerName="tools")["LayerVersions"]] == [2, 1]
    found = client.get_layer_version(LayerName="tools", VersionNumber=1)
    assert found["Description"] == "Words"
    assert httpx.get(found["Content"]["Location"], trust_env=False).content == lower

    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("app.py", LAYERED)
        archive.writestr("samples/one.json", "{}")
    named = [first["LayerVersionArn"], second["LayerVersionArn"]]
    client.create_function(
        FunctionName="layered", Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": body.getvalue()},
        Layers=named, MemorySize=300,
    )  # fmt: skip
    endpoint = api.settled("layered")
    assert endpoint["status"] == "InService", endpoint["failure_reason"]
    told = json.loads(client.invoke(FunctionName="layered", Payload=b"{}")["Payload"].read())
    assert told == {
        "words": "high", "tool": "hammer", "at": f"/opt/{site}", "data": "12", "said": "ahoy\n",
    }  # fmt: skip
    described = client.get_function_configuration(FunctionName="layered")
    assert [one["Arn"] for one in described["Layers"]] == named

    client.delete_layer_version(LayerName="tools", VersionNumber=2)
    third = client.publish_layer_version(LayerName="tools", Content={"ZipFile": lower})
    assert third["Version"] == 3, "a number never comes again"
    assert json.loads(client.invoke(FunctionName="layered", Payload=b"{}")["Payload"].read())["words"] == "high"


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
    missing = "arn:aws:lambda:us-east-1:000000000000:layer:l:1"
    assert "Layer version l:1 does not exist" in refused(Layers=[missing])
    assert "does not exist" in refused(Layers=[missing.replace("000000000000", "123456789012")])
    assert "at most 5" in refused(Layers=[missing] * 6)
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
