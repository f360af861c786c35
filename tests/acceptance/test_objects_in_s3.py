"""Objects in a real S3 service: results lie there for any S3 client; kill -9 and a missing bucket harm none of them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from tests import forks

from seatrial.domain.limits import MIB
from seatrial.testing.s3_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, S3Server, free_bucket

ROLE = "arn:aws:iam::000000000000:role/r"


@dataclass
class Kept:
    """A server whose objects are kept in the S3 server, and a plain client of the latter."""

    server: Any
    s3: Any
    bucket: str
    options: tuple[str, ...]

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, uri: str) -> bytes:
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        return bytes(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def staged(self) -> list[str]:
        return self.keys(self.bucket, "seatrial/staging/")


@pytest.fixture(scope="session")
def s3(s3_server: S3Server) -> Any:
    session = boto3.session.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name="us-east-1")
    return session.client("s3", endpoint_url=s3_server.url, config=Config(s3={"addressing_style": "path"}))


@pytest.fixture
def keep(
    s3_server: S3Server, s3: Any, tmp_path: Path, start_server: Callable[..., Any]
) -> Iterator[Callable[..., Kept]]:
    """Starts such a server."""
    file = tmp_path / "s3-credentials"
    file.write_text(f"[default]\naws_access_key_id={ACCESS_KEY_ID}\naws_secret_access_key={SECRET_ACCESS_KEY}\n")

    def start(*more: str) -> Kept:
        bucket = free_bucket("home")
        s3.create_bucket(Bucket=bucket)
        options = ["--objects", f"s3://{bucket}/seatrial", "--objects-endpoint", s3_server.url]
        options += ["--objects-credentials", str(file), *more]
        (tmp_path / "server").mkdir()
        return Kept(start_server(tmp_path / "server" / "data", *options), s3, bucket, tuple(options))

    return start


def test_results_lie_in_the_real_service(keep: Callable[..., Kept], api_of: Any, eventually: Any) -> None:
    kept = keep()
    api = api_of(kept.server)
    api.serve("e", "obedient")
    job = api.ended(api.submit("e", "1 + 1"))
    assert job["status"] == "succeeded", job
    assert job["result"].startswith(f"s3://{kept.bucket}/seatrial/seatrial-results/e/")
    assert json.loads(kept.read(job["result"]))["value"] == 2
    told = kept.s3.head_object(Bucket=kept.bucket, Key=job["result"].split("/", 3)[3])
    assert told["ContentType"] == "application/json"
    assert api.http.get(f"/v1/jobs/{job['id']}/result").json()["value"] == 2
    failed = api.ended(api.submit("e", "1 / 0"))
    document = json.loads(kept.read(failed["failure"]))
    assert (document["job_id"], document["error_type"]) == (failed["id"], failed["error"]["error_type"])
    assert failed["result"].split("/", 3)[3] not in kept.keys(kept.bucket)
    cancelled = api.submit("e", "1", ttl_seconds=60, priority=9)
    api.ended(cancelled)
    eventually(lambda: kept.staged() == [])


def test_a_sagemaker_client_uses_buckets_of_that_service(
    keep: Callable[..., Kept], archive: Any, eventually: Any
) -> None:
    kept = keep()
    bucket = free_bucket("users")
    ours = kept.server.client("s3")  # our door stands before the same service
    ours.create_bucket(Bucket=bucket)
    ours.upload_file(str(archive("obedient_sagemaker")), bucket, "model.tar.gz")
    assert "model.tar.gz" in kept.keys(bucket)
    large = bytes(range(256)) * (9 * MIB // 256)
    ours.upload_fileobj(io.BytesIO(large), bucket, "large.bin")  # in parts, as boto3 does from 8 MiB on
    assert kept.read(f"s3://{bucket}/large.bin") == large
    sagemaker, runtime = kept.server.client("sagemaker"), kept.server.client("sagemaker-runtime")
    container = {"Image": "any", "ModelDataUrl": f"s3://{bucket}/model.tar.gz"}
    sagemaker.create_model(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    output = {"S3OutputPath": f"s3://{bucket}/out", "S3FailurePath": f"s3://{bucket}/failed"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="c", ProductionVariants=[variant], AsyncInferenceConfig={"OutputConfig": output}
    )
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    kept.s3.put_object(Bucket=bucket, Key="in.json", Body=b'{"code": "2 * 3"}')  # by the service's own door
    answer = runtime.invoke_endpoint_async(
        EndpointName="e", InputLocation=f"s3://{bucket}/in.json", ContentType="application/json"
    )
    assert answer["OutputLocation"].startswith(f"s3://{bucket}/out/")
    key = answer["OutputLocation"].split("/", 3)[3]
    eventually(lambda: key in kept.keys(bucket, "out/"))
    assert json.loads(kept.read(answer["OutputLocation"]))["value"] == 6


def test_a_kill_between_decision_and_publication_leaves_one_whole_object(
    keep: Callable[..., Kept], api_of: Any, gate: Any, eventually: Any
) -> None:
    kept = keep()
    api = api_of(kept.server)
    bucket = free_bucket("out")
    kept.s3.create_bucket(Bucket=bucket)
    api.serve("e", output=f"s3://{bucket}/out/")
    job_id = api.submit("e", f"({gate.code}, 'x' * 100_000)[1]")
    gate.reached()
    kept.s3.delete_bucket(Bucket=bucket)  # so that what is decided cannot be published
    gate.open()
    eventually(lambda: api.job(job_id)["status"] == "publishing")
    waiting = api.job(job_id)
    assert (waiting["waits_for"], waiting["waits_until"] is not None) == ("its outcome to become visible", True)
    assert len(kept.staged()) == 1
    kept.server.kill()
    kept.s3.create_bucket(Bucket=bucket)
    kept.server.start()
    api.reconnect()
    job = api.ended(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1)  # it did not run again
    assert kept.keys(bucket) == [job["result"].split("/", 3)[3]]
    body = kept.read(job["result"])
    assert hashlib.sha256(body).hexdigest() == job["parts"][0]["sha256"]
    assert json.loads(body)["value"] == "x" * 100_000
    eventually(lambda: kept.staged() == [])


def test_a_bucket_that_stays_away_ends_as_publish_failed(
    keep: Callable[..., Kept], api_of: Any, gate: Any, eventually: Any
) -> None:
    kept = keep("--publish-seconds-max", "1")
    api = api_of(kept.server)
    bucket, failures = free_bucket("out"), free_bucket("failures")
    for one in (bucket, failures):
        kept.s3.create_bucket(Bucket=one)
    api.serve("e", output=f"s3://{bucket}/out/", failure_output=f"s3://{failures}/")
    api.serve("f", output=f"s3://{bucket}/out/")
    jobs = []
    for name in ("e", "f"):
        jobs.append(api.submit(name, gate.code))
        gate.reached()
        if name == "e":
            api_gate, gate._held = gate._held, None
    kept.s3.delete_bucket(Bucket=bucket)
    gate.open()
    api_gate.close()
    told, untold = [api.ended(job_id) for job_id in jobs]
    for job in (told, untold):
        assert (job["status"], job["error"]["error_type"]) == ("failed", "publish_failed")
        assert bucket in job["error"]["message"]
        assert job["parts"] == []
    assert json.loads(kept.read(told["failure"])) == told["error"]
    assert bucket in untold["error"]["details"]["not_published"]
    eventually(lambda: kept.staged() == [])


@pytest.mark.slow  # the S3 server takes its time to come back
def test_a_service_that_is_away_for_a_while_delays_jobs_and_loses_none(
    keep: Callable[..., Kept], api_of: Any, gate: Any, s3_server: S3Server
) -> None:
    kept = keep()
    api = api_of(kept.server)
    api.serve("e")
    job_id = api.submit("e", gate.code)
    gate.reached()
    s3_server.kill()
    try:
        gate.open("late")
        refused = api.http.get("/healthz")
        assert (refused.status_code, refused.json()["parts"]["objects"]) == (503, "down")
    finally:
        s3_server.start()
    job = api.ended(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1), job
    assert json.loads(kept.read(job["result"]))["value"] == "late"


def test_objects_stay_where_they_were_put(keep: Callable[..., Kept]) -> None:
    kept = keep()
    kept.server.terminate()
    done = forks.run("serve", "--data", kept.server.data, "--port", 0)
    assert done.returncode == 1
    assert f"give --objects s3://{kept.bucket}/seatrial" in done.stderr
    elsewhere = ("--objects", "s3://nowhere")
    assert forks.run("serve", "--data", kept.server.data, "--port", 0, *kept.options, *elsewhere).returncode == 1


@pytest.mark.slow  # the finder has its own tests; this one waits for a real service
def test_objects_that_others_put_there_set_jobs_off(keep: Callable[..., Kept], api_of: Any, eventually: Any) -> None:
    kept = keep()
    api = api_of(kept.server)
    api.serve("e", "obedient")
    bucket = free_bucket("arriving")
    kept.s3.create_bucket(Bucket=bucket)
    kept.s3.put_object(Bucket=bucket, Key="other/early", Body=b'{"code": "0"}', ContentType="application/json")
    wanted = {"bucket": bucket, "endpoint": "e", "prefix": "in/", "result": f"s3://{bucket}/out/{{job_id}}.json"}
    trigger = api.http.post("/v1/triggers", json=wanted)
    assert trigger.status_code == 201, trigger.text
    kept.s3.put_object(Bucket=bucket, Key="in/one", Body=b'{"code": "6 * 7"}', ContentType="application/json")

    def jobs() -> Any:
        found = api.http.get("/v1/jobs", params={"endpoint": "e"}).json()["jobs"]
        return [one for one in found if one["door"] == "trigger"]

    (job,) = eventually(jobs)
    assert api.ended(job["id"])["status"] == "succeeded"
    assert json.loads(kept.read(f"s3://{bucket}/out/{job['id']}.json"))["value"] == 42

    told = api.http.post("/v1/uploads", json={"endpoint": "e", "media_type": "application/json"}).json()
    assert httpx.put(told["url"], content=b'{"code": "3 * 3"}').status_code == 200
    ended = api.ended(told["id"])
    assert ended["status"] == "succeeded", ended
    assert json.loads(kept.read(told["result"]))["value"] == 9
    assert len(jobs()) == 1
    removed = {**wanted, "event": "s3", "events": ["s3:ObjectRemoved:*"]}
    assert api.http.post("/v1/triggers", json=removed).json()["field"] == "events"
