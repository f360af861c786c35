"""Requests without a signature: AWS's clients hear AWS's errors, browsers and clients of the native API their own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

FORM = "application/x-www-form-urlencoded"


def is_denied_by_s3(answer: httpx.Response) -> bool:
    assert answer.headers["content-type"] == "application/xml"
    request_id = answer.headers["x-amz-request-id"]
    return answer.status_code == 403 and (
        "<Code>AccessDenied</Code>" in answer.text and f"<RequestId>{request_id}</RequestId>" in answer.text
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["s3", "ls", "s3://some-bucket"], "AccessDenied"),
        (["s3api", "list-buckets"], "AccessDenied"),
        (["s3", "cp", "FILE", "s3://some-bucket/key"], "AccessDenied"),
        (["sts", "get-caller-identity"], "MissingAuthenticationToken"),
    ],
)
def test_the_aws_command_hears_its_own_error(
    shared_server: Any, aws_command: Path, tmp_path: Path, arguments: list[str], code: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)
    named = [str(file) if argument == "FILE" else argument for argument in arguments]
    done = subprocess.run(
        [aws_command, "--no-sign-request", *named], capture_output=True, text=True, env=shared_server.environment
    )
    assert done.returncode != 0
    assert f"({code})" in done.stderr, done.stderr


def test_boto3_hears_its_own_error(shared_server: Any) -> None:
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    s3 = boto3.client("s3", endpoint_url=shared_server.url, region_name="us-east-1", config=config)
    with pytest.raises(ClientError) as refused:
        s3.list_buckets()
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
    s3.close()


@pytest.mark.parametrize("path", ["/some-bucket", "/some-bucket/a/key", "/docs/key", "/healthz/key", "/nothing"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_every_path_that_is_not_the_apis_is_s3s(shared_server: Any, method: str, path: str) -> None:
    assert is_denied_by_s3(httpx.request(method, shared_server.url + path))


@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": "aws-cli/2.1 md/Botocore#2"},
        {"User-Agent": "Boto3/1.44 md/Botocore#1.44"},
        {"User-Agent": "aws-sdk-go-v2/1.3"},
        {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
    ],
)
def test_the_root_is_s3s_for_clients_of_aws(shared_server: Any, headers: dict[str, str]) -> None:
    assert is_denied_by_s3(httpx.get(shared_server.url + "/", headers=headers))


def test_the_root_and_the_api_stay_the_browsers_and_the_native_clients(shared_server: Any) -> None:
    browser = httpx.get(shared_server.url + "/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert browser.headers["location"] == "/docs"
    assert httpx.get(shared_server.url + "/docs").headers["content-type"].startswith("text/html")
    assert httpx.get(shared_server.url + "/healthz").json()["status"] == "ok"
    for path in ("/v1", "/v1/", "/v1/nothing", "/v1/endpoints"):
        answer = httpx.get(shared_server.url + path, headers={"User-Agent": "Boto3/1.44"})
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_form_at_the_root_is_the_query_protocols(shared_server: Any) -> None:
    form = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
    answer = httpx.post(shared_server.url + "/", data=form)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/xml; charset=utf-8")
    assert "<Code>MissingAuthenticationToken</Code>" in answer.text


def test_a_form_upload_is_said_not_to_be_offered(shared_server: Any) -> None:
    s3 = shared_server.client("s3")
    post = s3.generate_presigned_post("some-bucket", "key")
    answer = httpx.post(post["url"], data=post["fields"], files={"file": b"body"})
    assert answer.status_code == 501
    assert "<Code>NotImplemented</Code>" in answer.text
    s3.close()
