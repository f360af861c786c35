"""A RunPod client names a bucket of its own: large outputs are put there, by the handler or by us, and come as URLs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from tests.acceptance.conftest import Api
from tests.conftest import RunningServer

from seatrial.testing.s3_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, S3Server

HANDLER = """
    import base64, runpod
    from runpod.serverless.utils import rp_upload

    PICTURE = b"\\x89PNG\\r\\n\\x1a\\n" + b"p" * 200_000


    def handler(job):
        if job["input"]["do"] == "itself":
            config = job["s3Config"]
            url = rp_upload.upload_in_memory_object("own.png", PICTURE, config, config["bucketName"], job["id"])
            return {"url": url}
        small, large = base64.b64encode(PICTURE[:100]).decode(), base64.b64encode(PICTURE).decode()
        return {"small": small, "images": [large, "data:image/png;base64," + large], "letters": "ACGT" * 100_000}


    runpod.serverless.start({"handler": handler})
"""
PICTURE = b"\x89PNG\r\n\x1a\n" + b"p" * 200_000
BUCKET = "clients-own"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    data: Path = tmp_path_factory.mktemp("bucket") / "data"
    server = RunningServer(data, ["--allow-receiver", "127.0.0.0/8"]).start()
    api = Api(server)
    api.serve("draw", {"handler.py": HANDLER, "test_input.json": '{"input": {"do": "draw"}}'}, python=sys.executable)
    key = {"Authorization": f"Bearer {server.variables['SEATRIAL_API_KEY']}"}
    with httpx.Client(base_url=f"{server.url}/v2/draw", headers=key, timeout=60, trust_env=False) as made:
        yield made
    api.http.close()
    server.terminate()


@pytest.fixture(scope="module")
def config(s3_server: S3Server) -> dict[str, str]:
    """What a client says of its bucket."""
    keys = {"aws_access_key_id": ACCESS_KEY_ID, "aws_secret_access_key": SECRET_ACCESS_KEY}
    boto3.client("s3", endpoint_url=s3_server.url, region_name="us-east-1", **keys).create_bucket(Bucket=BUCKET)
    named = {"accessId": ACCESS_KEY_ID, "accessSecret": SECRET_ACCESS_KEY}
    return {**named, "bucketName": BUCKET, "endpointUrl": s3_server.url}


def run(client: httpx.Client, do: str, **more: Any) -> dict[str, Any]:
    return dict(client.post("/runsync", json={"input": {"do": do}, **more}).json())


def test_a_handler_uploads_by_itself_as_at_runpod(client: httpx.Client, config: dict[str, str]) -> None:
    url = run(client, "itself", s3Config=config)["output"]["url"]
    assert httpx.get(url, trust_env=False).content == PICTURE


def test_what_a_handler_returns_is_uploaded_for_it(client: httpx.Client, config: dict[str, str]) -> None:
    done = run(client, "draw", s3Config=config)
    output = done["output"]
    assert output["letters"] == "ACGT" * 100_000
    assert len(output["small"]) < 200
    for url in output["images"]:
        assert url.startswith(f"{config['endpointUrl']}/{BUCKET}/{done['id'].removeprefix('sync-')}/")
        answer = httpx.get(url, trust_env=False)
        assert (answer.content, answer.headers["content-type"]) == (PICTURE, "image/png")
    assert SECRET_ACCESS_KEY not in str(done)
    plain = run(client, "draw")["output"]
    assert not plain["images"][0].startswith("http")


def test_a_bucket_that_does_not_take_it_fails_the_job_and_says_why(client: httpx.Client, config: Any) -> None:
    for wrong, said in (
        ({"accessSecret": "wrong"}, "it answers 403"),
        ({"endpointUrl": "http://10.1.2.3:9000"}, "is not allowed"),
    ):
        done = run(client, "draw", s3Config=config | wrong)
        assert done["status"] == "FAILED", done
        assert said in str(done["error"]), done["error"]
    refused = client.post("/run", json={"input": {}, "s3Config": config | {"endpointUrl": "no address"}})
    assert (refused.status_code, refused.json()["field"]) == (400, "s3Config.endpointUrl")
