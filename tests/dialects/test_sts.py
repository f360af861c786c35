"""Who am I, and what wrong credentials hear, through an unmodified boto3 and the real `aws`."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from seatrial.adapters.system.clock import SystemClock
from seatrial.domain.credentials import Credentials
from seatrial.engine.keyring import Keyring


@pytest.fixture
def server(shared_server: Any) -> Any:
    """One for them all: they change nothing."""
    return shared_server


def client(server: Any, service: str, access_key_id: str, secret_access_key: str) -> Any:
    return boto3.session.Session(access_key_id, secret_access_key, region_name="us-east-1").client(
        service, endpoint_url=server.variables["AWS_ENDPOINT_URL"], config=Config(retries={"max_attempts": 0})
    )


def code_of(client: Any, operation: str, **given: Any) -> str:
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)(**given)
    return str(refused.value.response["Error"]["Code"])


def test_the_owner_is_the_accounts_root(server: Any, aws_command: Path) -> None:
    identity = server.client("sts").get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == ("000000000000", "arn:aws:iam::000000000000:root")
    done = subprocess.run(
        [aws_command, "sts", "get-caller-identity"], capture_output=True, text=True, env=server.environment, check=True
    )
    assert json.loads(done.stdout)["UserId"] == "000000000000"
    assert code_of(server.client("sts"), "get_session_token") == "InvalidAction"


def test_wrong_credentials_hear_what_each_service_says(server: Any) -> None:
    key = server.variables["AWS_ACCESS_KEY_ID"]
    said = {
        "sts": ("get_caller_identity", "InvalidClientTokenId", "SignatureDoesNotMatch"),
        "sagemaker": ("list_models", "UnrecognizedClientException", "InvalidSignatureException"),
        "logs": ("describe_log_groups", "UnrecognizedClientException", "InvalidSignatureException"),
        "s3": ("list_buckets", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        "lambda": ("list_functions", "UnrecognizedClientException", "InvalidSignatureException"),
    }
    for service, (operation, unknown, mismatch) in said.items():
        assert code_of(client(server, service, "AKIDUNKNOWN", "secret"), operation) == unknown
        assert code_of(client(server, service, key, "not the secret"), operation) == mismatch


def test_a_workers_credentials_reach_objects_and_nothing_else(server: Any) -> None:
    owner = Credentials(server.variables["AWS_ACCESS_KEY_ID"], server.variables["AWS_SECRET_ACCESS_KEY"], "key")
    pair = Keyring(owner, SystemClock()).for_worker("plans")
    keys = (pair.access_key_id, pair.secret_access_key)
    assert client(server, "sts", *keys).get_caller_identity()["Arn"].endswith("assumed-role/seatrial-worker/plans")
    assert client(server, "s3", *keys).list_buckets()["Buckets"] is not None
    assert code_of(client(server, "sagemaker", *keys), "list_models") == "AccessDeniedException"
    assert code_of(client(server, "logs", *keys), "describe_log_groups") == "AccessDeniedException"
    invoke = {"EndpointName": "plans", "Body": b"{}"}
    assert code_of(client(server, "sagemaker-runtime", *keys), "invoke_endpoint", **invoke) == "AccessDeniedException"


@pytest.mark.parametrize(
    ("path", "headers", "said"),
    [
        ("/", {"X-Amz-Target": "SageMaker.ListModels"}, b'"__type": "MissingAuthenticationTokenException"'),
        ("/endpoints/a/invocations", {}, b'{"Message": "Missing Authentication Token"}'),
    ],
)
def test_unsigned_requests_are_refused_in_the_form_they_ask_in(
    server: Any, path: str, headers: dict[str, str], said: bytes
) -> None:
    request = urllib.request.Request(server.url + path, b"{}", headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as answer:
        assert answer.code == 403
        assert said in answer.read()
