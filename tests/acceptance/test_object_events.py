"""Objects that come set off functions: the pipeline of an application for floor plans, with the clients that it has."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from PIL import Image, ImageDraw
from tests.acceptance.conftest import Api
from tests.acceptance.test_topics import confirmed
from tests.acceptance.test_webhooks import Receiver
from tests.conftest import until

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
ROLE = "arn:aws:iam::000000000000:role/any"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
PLANS, RESULTS = "location-detection-blueprints", "location-detection-results"

INFERENCE_TRIGGER = """
import json, os, urllib.parse
import boto3

def handler(event, context):
    for record in event["Records"]:
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        job_id = os.path.splitext(os.path.basename(key))[0]
        told = {"bucket": record["s3"]["bucket"]["name"], "key": key, "jobId": job_id, "timestamp": record["eventTime"]}
        boto3.client("lambda").invoke(
            FunctionName="ml-inference", InvocationType="Event", Payload=json.dumps(told).encode()
        )
    return {"invoked": len(event["Records"]), "names": [one["eventName"] for one in event["Records"]]}
"""
ML_INFERENCE = """
import json, os, struct, zlib
import boto3

def handler(event, context):
    s3 = boto3.client("s3")
    body = s3.get_object(Bucket=event["bucket"], Key=event["key"])["Body"].read()
    width, height = struct.unpack(">II", body[16:24])
    at, pixels = 8, b""
    while at < len(body):
        (length,) = struct.unpack(">I", body[at:at + 4])
        if body[at + 4:at + 8] == b"IDAT":
            pixels += body[at + 8:at + 8 + length]
        at += length + 12
    found = {"jobId": event["jobId"], "size": [width, height], "bytes": len(zlib.decompress(pixels))}
    s3.put_object(
        Bucket=os.environ["RESULTS_BUCKET_NAME"], Key=f"results/{event['jobId']}.json", Body=json.dumps(found).encode()
    )
    return found
"""


def plan_png(width: int = 64) -> bytes:
    """Two rooms, drawn."""
    image = Image.new("RGB", (width, 48), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((4, 4, width - 5, 43), outline="black", width=2)
    draw.line((width // 2, 4, width // 2, 43), fill="black", width=2)
    body = io.BytesIO()
    image.save(body, "PNG")
    return body.getvalue()


def make_function(api: Any, name: str, code: str, sample: Any, env: dict[str, str] | None = None) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("lambda_handler.py", code)
        archive.writestr("samples/one.json", json.dumps(sample))
    client = api.server.client("lambda")
    client.create_function(
        FunctionName=name, Runtime=RUNTIME, Role=ROLE, Handler="lambda_handler.handler",
        Code={"ZipFile": body.getvalue()}, Environment={"Variables": env or {}},
    )  # fmt: skip
    endpoint = api.settled(name)
    assert endpoint["status"] == "InService", endpoint["failure_reason"]


@pytest.fixture(scope="module")
def pipeline(shared_server: Any) -> Iterator[Any]:
    """The two functions and the two buckets."""
    api = Api(shared_server)
    s3 = api.server.client("s3")
    for bucket in (PLANS, RESULTS):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=PLANS, Key="samples/one.png", Body=plan_png())
    sample = {"bucket": PLANS, "key": "samples/one.png", "jobId": "sample", "timestamp": "2026-01-01T00:00:00Z"}
    make_function(api, "ml-inference", ML_INFERENCE, sample, {"RESULTS_BUCKET_NAME": RESULTS})
    wanted = {"name": "trigger", "scopes": ["submit"], "endpoints": ["ml-inference"]}
    made = api.http.post("/v1/keys", json=wanted).json()
    keys = {"AWS_ACCESS_KEY_ID": made["access_key_id"], "AWS_SECRET_ACCESS_KEY": made["secret_access_key"]}
    make_function(api, "inference-trigger", INFERENCE_TRIGGER, {"Records": []}, keys)  # it invokes another function
    yield api
    api.http.close()


def jobs_of(api: Any, endpoint: str) -> list[dict[str, Any]]:
    found = api.http.get("/v1/jobs", params={"endpoint": endpoint, "limit": 100}).json()["jobs"]
    return [dict(one) for one in found]


def aws(api: Any, *words: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    program = Path(sys.executable).with_name("aws")
    return subprocess.run(
        [str(program), *words],
        env=known | api.server.variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_pipeline_of_the_blueprints(pipeline: Any, tmp_path: Path) -> None:
    wanted = {
        "LambdaFunctionConfigurations": [
            {
                "Id": "new-blueprints",
                "LambdaFunctionArn": ARN + "inference-trigger",
                "Events": ["s3:ObjectCreated:*"],
                "Filter": {
                    "Key": {
                        "FilterRules": [{"Name": "prefix", "Value": "blueprints/"}, {"Name": "suffix", "Value": ".png"}]
                    }
                },
            }
        ]
    }
    rule = json.dumps(wanted)
    put = aws(pipeline, "s3api", "put-bucket-notification-configuration", "--bucket", PLANS,
              "--notification-configuration", rule)  # fmt: skip
    assert put.returncode == 0, put.stderr
    told = json.loads(aws(pipeline, "s3api", "get-bucket-notification-configuration", "--bucket", PLANS).stdout)
    (one,) = told["LambdaFunctionConfigurations"]
    assert one["LambdaFunctionArn"] == ARN + "inference-trigger"
    assert {r["Name"].lower(): r["Value"] for r in one["Filter"]["Key"]["FilterRules"]} == {
        "prefix": "blueprints/", "suffix": ".png",
    }  # fmt: skip

    s3 = pipeline.server.client("s3")
    file = tmp_path / "plan.png"
    file.write_bytes(plan_png())
    job_id = "215c9ff2-332a-4f63-8241-e072f8925225"
    sent = aws(pipeline, "s3", "cp", str(file), f"s3://{PLANS}/blueprints/{job_id}.png")
    assert sent.returncode == 0, sent.stderr
    s3.put_object(Bucket=PLANS, Key="blueprints/notes.txt", Body=b"not a plan")
    s3.put_object(Bucket=PLANS, Key="drafts/other.png", Body=plan_png())

    def result() -> Any:
        try:
            return json.loads(s3.get_object(Bucket=RESULTS, Key=f"results/{job_id}.json")["Body"].read())
        except ClientError:
            return None

    found = until(result)
    assert (found["jobId"], found["size"]) == (job_id, [64, 48])
    (triggered,) = jobs_of(pipeline, "inference-trigger")
    assert triggered["door"] == "lambda"
    event = pipeline.http.get(f"/v1/jobs/{triggered['id']}/input").json()
    (record,) = event["Records"]
    head = s3.head_object(Bucket=PLANS, Key=f"blueprints/{job_id}.png")
    assert record["s3"]["object"]["eTag"] == head["ETag"].strip('"')
    assert (record["eventName"], record["eventSource"], record["eventVersion"]) == (
        "ObjectCreated:Put",
        "aws:s3",
        "2.1",
    )
    assert record["s3"]["configurationId"] == "new-blueprints"
    assert record["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{PLANS}"


def refused(call: Any, **given: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**given)
    error = refusal.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def rule(
    name: str, prefix: str = "", suffix: str = "", event: str = "s3:ObjectCreated:*", **more: Any
) -> dict[str, Any]:
    rules = [{"Name": "prefix", "Value": prefix}, {"Name": "suffix", "Value": suffix}]
    made = {"Id": name, "LambdaFunctionArn": ARN + "inference-trigger", "Events": [event]}
    return {**made, "Filter": {"Key": {"FilterRules": [one for one in rules if one["Value"]]}}, **more}


def test_configurations_that_cannot_be(pipeline: Any) -> None:
    s3 = pipeline.server.client("s3")

    def put(**configuration: Any) -> str:
        return refused(
            s3.put_bucket_notification_configuration, Bucket=RESULTS, NotificationConfiguration=configuration
        )

    def functions(*rules: dict[str, Any]) -> str:
        return put(LambdaFunctionConfigurations=list(rules))

    overlapping = "InvalidArgument: Configurations overlap."
    assert functions(rule("one", "in/"), rule("two", "in/deep/")).startswith(overlapping)
    assert functions(rule("one", "", ".png"), rule("two", "in/", ".png", "s3:ObjectCreated:Put")).startswith(
        overlapping
    )
    assert "Same ID used" in functions(rule("one", "a/"), rule("one", "b/"))
    unknown = functions(rule("one", LambdaFunctionArn=ARN + "nobody"))
    assert unknown.startswith("InvalidArgument: Unable to validate the following destination configurations")
    assert "no ARN of a function" in functions(rule("one", LambdaFunctionArn="arn:aws:s3:::x"))
    assert "s3:ObjectRestore:Post" in functions(rule("one", event="s3:ObjectRestore:Post"))
    queue = {"QueueArn": "arn:aws:sqs:us-east-1:000000000000:q", "Events": ["s3:ObjectCreated:*"]}
    assert put(QueueConfigurations=[queue]).startswith("NotImplemented: QueueConfiguration is not offered here")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.get_bucket_notification_configuration(Bucket="nowhere")
    assert "LambdaFunctionConfigurations" not in s3.get_bucket_notification_configuration(Bucket=RESULTS)


def test_each_way_to_come_and_to_go_is_told_once(pipeline: Any) -> None:
    s3 = pipeline.server.client("s3")
    s3.create_bucket(Bucket="ways")
    rules = [rule("come", "a/"), rule("go", "a/", event="s3:ObjectRemoved:*")]
    s3.put_bucket_notification_configuration(
        Bucket="ways", NotificationConfiguration={"LambdaFunctionConfigurations": rules}
    )
    s3.put_object(Bucket="ways", Key="a/one two+three.json", Body=b"{}")
    s3.copy_object(Bucket="ways", Key="a/copy", CopySource={"Bucket": "ways", "Key": "a/one two+three.json"})
    upload = s3.create_multipart_upload(Bucket="ways", Key="a/parts")["UploadId"]
    of = {"Bucket": "ways", "Key": "a/parts", "UploadId": upload}
    etag = s3.upload_part(**of, PartNumber=1, Body=b"part")["ETag"]
    s3.complete_multipart_upload(**of, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    s3.delete_object(Bucket="ways", Key="a/copy")
    s3.delete_object(Bucket="ways", Key="a/never-was")
    listed = pipeline.http.get("/v1/triggers", params={"bucket": "ways"}).json()["triggers"]

    def told() -> Any:
        events = [
            (event["event"], event["uri"].removeprefix("s3://ways/a/"))
            for one in listed
            for event in pipeline.http.get(f"/v1/triggers/{one['id']}").json()["last_events"]
            if event["status"] == "done"
        ]
        return sorted(events) if len(events) >= 4 else None

    assert until(told) == [
        ("s3:ObjectCreated:CompleteMultipartUpload", "parts"),
        ("s3:ObjectCreated:Copy", "copy"),
        ("s3:ObjectCreated:Put", "one two+three.json"),
        ("s3:ObjectRemoved:Delete", "copy"),
    ]
    inputs = [
        pipeline.http.get(f"/v1/jobs/{job['id']}/input").json()["Records"][0]
        for job in jobs_of(pipeline, "inference-trigger")
    ]
    records = {one["eventName"]: one["s3"]["object"] for one in inputs if one["s3"]["bucket"]["name"] == "ways"}
    assert records["ObjectCreated:Put"]["key"] == "a/one+two%2Bthree.json"
    assert records["ObjectRemoved:Delete"].keys() == {"key", "sequencer"}
    assert records["ObjectCreated:Copy"]["sequencer"] < records["ObjectRemoved:Delete"]["sequencer"]


def test_the_pipeline_without_a_function_in_between(pipeline: Any) -> None:
    """An order gives the job and the URL; the model gets the very event that its handler was written for."""
    fields = {"bucket": "{bucket}", "key": "{key}", "jobId": "{job_id}", "timestamp": "{arrived_at}"}
    order = {"endpoint": "ml-inference", "bucket": PLANS, "key": "uploads/{job_id}.png", "media_type": "image/png"}
    wanted = {**order, "event": "fields", "fields": fields, "result": f"s3://{RESULTS}/results/{{job_id}}"}
    told = pipeline.http.post("/v1/uploads", json=wanted).json()
    job_id = told["id"]
    assert pipeline.job(job_id)["status"] == "awaiting_upload"
    assert httpx.put(told["url"], content=plan_png(80)).status_code == 200
    job = pipeline.ended(job_id)
    assert job["status"] == "succeeded", job["error"]
    given = pipeline.http.get(f"/v1/jobs/{job_id}/input").json()
    assert (given["key"], given["jobId"]) == (f"uploads/{job_id}.png", job_id)
    answer = json.loads(pipeline.object(f"s3://{RESULTS}/results/{job_id}"))
    assert (answer["jobId"], answer["size"]) == (job_id, [80, 48])
    assert json.loads(pipeline.object(f"s3://{RESULTS}/results/{job_id}.json")) == answer

    told = pipeline.http.post("/v1/uploads", json={"endpoint": "inference-trigger", "event": "s3"}).json()
    assert httpx.put(told["url"], content=plan_png()).status_code == 200
    assert pipeline.ended(told["id"])["status"] == "succeeded"
    (record,) = pipeline.http.get(f"/v1/jobs/{told['id']}/input").json()["Records"]
    assert f"s3://{record['s3']['bucket']['name']}/{record['s3']['object']['key']}" == told["uri"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


def test_a_topic_hears_the_test_event_and_then_what_came(pipeline: Any, receiver: Receiver) -> None:
    sns, s3 = pipeline.server.client("sns"), pipeline.server.client("s3")
    topic = sns.create_topic(Name="arrivals")["TopicArn"]
    confirmed(sns, topic, receiver, until)
    receiver.got.clear()
    s3.create_bucket(Bucket="told")
    made = {"TopicArn": topic, "Events": ["s3:ObjectCreated:*"], "Id": "to-topic"}
    s3.put_bucket_notification_configuration(Bucket="told", NotificationConfiguration={"TopicConfigurations": [made]})
    s3.put_object(Bucket="told", Key="a.txt", Body=b"ahoy")
    until(lambda: len(receiver.got) >= 2, seconds=20)
    envelopes = [json.loads(body) for _, body in receiver.got]
    assert {one["Subject"] for one in envelopes} == {"Amazon S3 Notification"}
    messages = [json.loads(one["Message"]) for one in envelopes]
    (test,) = [one for one in messages if "Event" in one]
    assert (test["Service"], test["Event"], test["Bucket"]) == ("Amazon S3", "s3:TestEvent", "told")
    ((record,),) = [one["Records"] for one in messages if "Records" in one]
    assert (record["eventName"], record["s3"]["object"]["key"]) == ("ObjectCreated:Put", "a.txt")
    assert record["s3"]["object"]["size"] == 4
    (told,) = s3.get_bucket_notification_configuration(Bucket="told")["TopicConfigurations"]
    assert told["TopicArn"] == topic
    unknown = {**made, "TopicArn": topic + "x"}
    assert "there is no such topic" in refused(
        s3.put_bucket_notification_configuration,
        Bucket="told",
        NotificationConfiguration={"TopicConfigurations": [unknown]},
    )
