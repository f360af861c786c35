"""A request that is sent again gives the job that it made, whatever has changed meanwhile (I6)."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

BUCKET = "sent-again"


@pytest.fixture
def s3(api: Any) -> Any:
    client = api.server.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


def put(s3: Any, key: str, code: str = "1") -> str:
    s3.put_object(Bucket=BUCKET, Key=key, Body=b'{"code": "%s"}' % code.encode(), ContentType="application/json")
    return f"s3://{BUCKET}/{key}"


def runtime(api: Any, invocation_id: str) -> Any:
    """An unmodified client whose calls all carry one invocation id, as the attempts of one call do."""
    client = api.server.client("sagemaker-runtime", retries={"max_attempts": 0})

    def same(request: Any, **_: Any) -> None:
        request.headers["amz-sdk-invocation-id"] = invocation_id

    client.meta.events.register("before-send.sagemaker-runtime.*", same)
    return client


def count(api: Any, name: str) -> int:
    return len(api.http.get("/v1/jobs", params={"endpoint": name, "limit": 1000}).json()["jobs"])


def test_the_input_is_gone(api: Any, s3: Any) -> None:
    api.serve("gone")
    location = put(s3, "gone.json")
    client = runtime(api, str(uuid.uuid4()))
    first = client.invoke_endpoint_async(EndpointName="gone", InputLocation=location)
    header = {"Idempotency-Key": "k"}
    native = api.http.post("/v1/endpoints/gone/jobs", params={"input": location}, headers=header).json()
    assert api.value(native["id"]) == 1
    s3.delete_object(Bucket=BUCKET, Key="gone.json")

    again = client.invoke_endpoint_async(EndpointName="gone", InputLocation=location)
    assert (again["OutputLocation"], again["InferenceId"]) == (first["OutputLocation"], first["InferenceId"])
    resent = api.http.post("/v1/endpoints/gone/jobs", params={"input": location}, headers=header)
    assert (resent.status_code, resent.json()["id"], resent.json()["existing"]) == (202, native["id"], True)
    assert count(api, "gone") == 2

    with pytest.raises(ClientError) as refused:
        runtime(api, str(uuid.uuid4())).invoke_endpoint_async(EndpointName="gone", InputLocation=location)
    assert "There is no object" in refused.value.response["Error"]["Message"]
    with pytest.raises(ClientError) as refused:
        client.invoke_endpoint_async(EndpointName="gone", InputLocation=location + "x")
    assert "belongs to a different request" in refused.value.response["Error"]["Message"]
    other = api.http.post("/v1/endpoints/gone/jobs", params={"input": location + "x"}, headers=header)
    assert (other.status_code, other.json()["error_type"]) == (409, "idempotency_conflict")


def test_the_endpoint_left_service_and_the_queue_is_full(api: Any, gate: Any) -> None:
    api.serve("narrow", queue_depth_max=1)
    client = runtime(api, str(uuid.uuid4()))
    body = b'{"code": "%s or 1"}' % gate.code.encode()
    first = client.invoke_endpoint_async(EndpointName="narrow", Body=body, ContentType="application/json")
    gate.reached()
    full = api.post("narrow", {"code": "1"})
    assert (full.status_code, full.json()["error_type"]) == (429, "queue_full")
    assert int(full.headers["Retry-After"]) > 0
    again = client.invoke_endpoint_async(EndpointName="narrow", Body=body, ContentType="application/json")
    assert again["OutputLocation"] == first["OutputLocation"]
    gate.open()


def test_a_synchronous_call(api: Any, gate: Any) -> None:
    api.serve("waited")
    client = runtime(api, str(uuid.uuid4()))
    answers = [client.invoke_endpoint(EndpointName="waited", Body=b'{"code": "os.urandom(8).hex()"}') for _ in range(2)]
    assert len({answer["Body"].read() for answer in answers}) == 1
    assert count(api, "waited") == 1
    with pytest.raises(ClientError, match="different request"):
        client.invoke_endpoint(EndpointName="waited", Body=b'{"code": "2"}')


def test_a_form_with_another_boundary(api: Any) -> None:
    api.serve("forms")
    small, large = {"code": (None, "1")}, {"code": (None, "1" + " " * (7 << 20))}
    for number, form in enumerate((small, large)):
        header = {"Idempotency-Key": f"form {number}"}
        ids = {api.http.post("/v1/endpoints/forms/jobs", files=form, headers=header).json()["id"] for _ in range(2)}
        assert len(ids) == 1
        other = api.http.post("/v1/endpoints/forms/jobs", files={"code": (None, "2")}, headers=header)
        assert other.json()["error_type"] == "idempotency_conflict"
        assert api.value(ids.pop()) == 1
    kept = api.server.client("s3").list_objects_v2(Bucket="seatrial-inputs", Prefix="forms/")
    assert kept["KeyCount"] == 1, "one body of one job"


def test_a_retry(api: Any) -> None:
    api.serve("tried")
    old = api.submit("tried", "1")
    other = api.submit("tried", "2")
    assert (api.value(old), api.value(other)) == (1, 2)
    header = {"Idempotency-Key": "r"}
    first, again = [api.http.post(f"/v1/jobs/{old}/retry", headers=header).json() for _ in range(2)]
    assert (again["id"], again["existing"]) == (first["id"], True)
    refused = api.http.post(f"/v1/jobs/{other}/retry", headers=header)
    assert (refused.status_code, refused.json()["error_type"]) == (409, "idempotency_conflict")
    assert api.http.post(f"/v1/jobs/{old}/retry").json()["id"] != first["id"]


def test_the_command_line(api: Any) -> None:
    api.serve("typed")
    options = ["invoke", "typed", "--field", "code=1", "--idempotency-key", "mine"]
    ids = {api.server.cli(*options).stdout for _ in range(2)}
    assert len(ids) == 1
    conflict = api.server.cli("invoke", "typed", "--field", "code=2", "--idempotency-key", "mine", check=False)
    assert conflict.returncode == 1
    assert "idempotency_conflict" in conflict.stderr
    (job_id,) = (one.strip() for one in ids)
    assert api.value(job_id) == 1
    again = {api.server.cli("jobs", "retry", job_id, "--idempotency-key", "r").stdout for _ in range(2)}
    assert len(again) == 1


def test_an_inference_id_is_no_key_unless_the_endpoint_says_so(api: Any) -> None:
    api.serve("plain")
    api.serve("opted", deduplicate_inference_id=True)
    for name, places in (("plain", 2), ("opted", 1)):
        answers = [
            runtime(api, str(uuid.uuid4())).invoke_endpoint_async(
                EndpointName=name, InferenceId="order 7", Body=b'{"code": "1"}', ContentType="application/json"
            )
            for _ in range(2)
        ]
        assert len({answer["OutputLocation"] for answer in answers}) == places
        assert {answer["InferenceId"] for answer in answers} == {"order 7"}
    with pytest.raises(ClientError, match="different request"):
        runtime(api, str(uuid.uuid4())).invoke_endpoint_async(
            EndpointName="opted", InferenceId="order 7", Body=b'{"code": "2"}', ContentType="application/json"
        )
    unnamed = [
        runtime(api, str(uuid.uuid4())).invoke_endpoint_async(EndpointName="opted", Body=b'{"code": "1"}')
        for _ in range(2)
    ]
    assert unnamed[0]["InferenceId"] != unnamed[1]["InferenceId"]


def test_the_tag_opts_in(api: Any) -> None:
    s3, sagemaker = api.server.client("s3"), api.server.client("sagemaker")
    s3.create_bucket(Bucket="tagged-models")
    from tests.acceptance.conftest import packed

    s3.put_object(Bucket="tagged-models", Key="m.tar.gz", Body=packed("obedient"))
    role = "arn:aws:iam::000000000000:role/r"
    container = {"Image": "any", "ModelDataUrl": "s3://tagged-models/m.tar.gz"}
    sagemaker.create_model(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {"VariantName": "a", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    tag = {"Key": "seatrial:deduplicate-inference-id", "Value": "true"}
    sagemaker.create_endpoint(EndpointName="tagged", EndpointConfigName="c", Tags=[tag])
    assert api.settled("tagged")["status"] == "InService"
    places = {
        runtime(api, str(uuid.uuid4())).invoke_endpoint_async(
            EndpointName="tagged", InferenceId="i", Body=b'{"code": "1"}', ContentType="application/json"
        )["OutputLocation"]
        for _ in range(2)
    }
    assert len(places) == 1


def test_what_came_before_the_answer_was_lost(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line asks again by itself."""
    from seatrial.cli.server import Server

    api.serve("lost")
    server = Server(api.server.url, api.server.variables["SEATRIAL_API_KEY"], None)
    real, lost = server._client.request, []

    def lose_the_first(*given: Any, **how: Any) -> httpx.Response:
        answer = real(*given, **how)
        if not lost:
            lost.append(answer)
            raise httpx.ReadError("cut")
        return answer

    monkeypatch.setattr(server._client, "request", lose_the_first)
    accepted = server.submit("/v1/endpoints/lost/jobs", None, json={"code": "1"})
    assert accepted["id"] == lost[0].json()["id"]
    assert accepted["existing"]
    assert count(api, "lost") == 1
    server._client.close()
