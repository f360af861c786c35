"""Requests of every wire with some of their bytes changed: refused in the wire's own words, at no cost to anybody.

Valid requests of each dialect are cut, doubled and overwritten by hypothesis, in their target, headers and body, and
sent down a connection that stays open. None may bring a 5xx, show where our code lies, tell a key of what it does not
reach, or end the connection for the request that follows.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import forks
from tests.fuzz.conftest import OUR_CODE, OWN, OWN_BUCKET, SECRET, THEIR_BUCKET, THEIRS, Ground, Key

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "30"))  # of each wire; FUZZ_EXAMPLES=5000 looks further, at random
ANSWER_SECONDS = 10
JSON_11 = "application/x-amz-json-1.1"
FORM = "application/x-www-form-urlencoded"
NOT_OFFERED = 501  # the one 5xx that is an answer to what was asked


@dataclass(frozen=True)
class Sent:
    """A request before its signature; `service` is the AWS service whose signature it gets, "" for an API key."""

    method: str
    target: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    service: str = ""
    presigned: bool = False


def raw(sent: Sent, key: Key, ground: Ground) -> bytes:
    """What goes down the wire."""
    host = ground.server.url.removeprefix("http://")
    headers = {"Host": host, "Content-Length": str(len(sent.body)), **sent.headers}
    target = sent.target
    if sent.service:
        request = AWSRequest(sent.method, f"http://{host}{target}", data=sent.body, headers=dict(sent.headers))
        credentials = Credentials(key.access_key_id, key.secret_access_key)
        if sent.presigned:
            S3SigV4QueryAuth(credentials, sent.service, "us-east-1", expires=600).add_auth(request)
            target = request.url.removeprefix(f"http://{host}")
        else:
            kind = S3SigV4Auth if sent.service == "s3" else SigV4Auth
            kind(credentials, sent.service, "us-east-1").add_auth(request)
            headers |= dict(request.headers.items())
    elif "Authorization" not in headers:
        headers["Authorization"] = f"Bearer {key.api_key}"
    return written(sent.method, target, headers, sent.body)


def unsigned(sent: Sent) -> bytes:
    """The same for whoever knows no keys."""
    headers = {"Host": "127.0.0.1", "Content-Length": str(len(sent.body)), **sent.headers}
    return written(sent.method, sent.target, headers, sent.body)


def written(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A request of HTTP/1.1."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body


# ------------------------------------------------------------------ the valid ones


def target(operation: str, document: Any, service: str = "sagemaker", prefix: str = "SageMaker") -> Sent:
    headers = {"X-Amz-Target": f"{prefix}.{operation}", "Content-Type": JSON_11}
    return Sent("POST", "/", json.dumps(document).encode(), headers, service)


SAGEMAKER = [
    target("DescribeEndpoint", {"EndpointName": OWN}),
    target("DescribeEndpoint", {"EndpointName": THEIRS}),
    target("ListEndpoints", {"MaxResults": 5, "SortBy": "Name", "NameContains": "o", "StatusEquals": "InService"}),
    target("CreateModel", {"ModelName": "m", "PrimaryContainer": {"Image": "i", "ModelDataUrl": "s3://own-bucket/m"}}),
    target(
        "CreateEndpointConfig",
        {
            "EndpointConfigName": "c",
            "ProductionVariants": [{"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1}],
            "AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://own-bucket/out"}},
            "Tags": [{"Key": "seatrial:workers", "Value": "1"}],
        },
    ),
]
ASYNC = f"/endpoints/{OWN}/async-invocations"
RUNTIME = [
    Sent(
        "POST",
        ASYNC,
        b'{"a": 1}',
        {
            "X-Amzn-SageMaker-Content-Type": "application/json",
            "X-Amzn-SageMaker-Inference-Id": "mine 1",
            "X-Amzn-SageMaker-Custom-Attributes": "trace=1",
            "X-Amzn-SageMaker-RequestTTLSeconds": "60",
            "X-Amzn-SageMaker-InvocationTimeoutSeconds": "900",
            "X-Amzn-SageMaker-S3OutputPathExtension": "today/a",
            "X-Amzn-SageMaker-Filename": "plan.json",
            "amz-sdk-invocation-id": "11111111-2222-3333-4444-555555555555",
        },
        "sagemaker",
    ),
    Sent("POST", ASYNC, b"", {"X-Amzn-SageMaker-InputLocation": "s3://own-bucket/a.json"}, "sagemaker"),
    Sent("POST", ASYNC, b"", {"X-Amzn-SageMaker-InputLocation": f"s3://their-bucket/{SECRET}.json"}, "sagemaker"),
    Sent("POST", f"/endpoints/{OWN}/invocations", b'{"a": 1}', {"Content-Type": "application/json"}, "sagemaker"),
]
CHUNKED = b"5;chunk-signature=" + b"0" * 64 + b"\r\nahoy!\r\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n"
UNSIGNED_CHUNKED = b"5\r\nahoy!\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
S3_NAMES = b"<Object><Key>a.json</Key></Object><Object><Key>b</Key></Object>"
S3 = [
    Sent("GET", f"/{OWN_BUCKET}?list-type=2&prefix=a&delimiter=%2F&max-keys=10&encoding-type=url", service="s3"),
    Sent("GET", f"/{THEIR_BUCKET}?list-type=2", service="s3"),
    Sent("GET", f"/{OWN_BUCKET}/a.json", headers={"Range": "bytes=0-3", "If-None-Match": '"abc"'}, service="s3"),
    Sent(
        "PUT",
        f"/{OWN_BUCKET}/b",
        b"ahoy",
        {"x-amz-meta-a": "b", "Content-MD5": "lgmgEIuAqSln00YaeJ4fNw==", "If-None-Match": "*"},
        "s3",
    ),
    Sent("PUT", f"/{OWN_BUCKET}/c", headers={"x-amz-copy-source": f"/{THEIR_BUCKET}/{SECRET}.json"}, service="s3"),
    Sent("POST", f"/{OWN_BUCKET}?delete", b"<Delete>" + S3_NAMES + b"<Quiet>true</Quiet></Delete>", service="s3"),
    Sent("POST", f"/{OWN_BUCKET}/d?uploads", service="s3"),
    Sent(
        "POST",
        f"/{OWN_BUCKET}/d?uploadId=x",
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
        service="s3",
    ),
    Sent(
        "PUT",
        f"/{OWN_BUCKET}/e",
        CHUNKED,
        {
            "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "Content-Encoding": "aws-chunked",
            "x-amz-decoded-content-length": "5",
        },
        "s3",
    ),
    Sent(
        "PUT",
        f"/{OWN_BUCKET}/f",
        UNSIGNED_CHUNKED,
        {
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-trailer": "x-amz-checksum-crc32",
            "x-amz-decoded-content-length": "5",
        },
        "s3",
    ),
]
PRESIGNED = [
    Sent("GET", f"/{OWN_BUCKET}/a.json?response-content-type=text%2Fplain", service="s3", presigned=True),
    Sent("PUT", f"/{OWN_BUCKET}/g", service="s3", presigned=True),
    Sent("GET", f"/{THEIR_BUCKET}/{SECRET}.json", service="s3", presigned=True),
    Sent(
        "GET",
        f"/{OWN_BUCKET}/a.json?AWSAccessKeyId=AKIA&Signature=abc%3D&Expires=4102444800",
        headers={"Authorization": ""},
    ),
    Sent(
        "GET",
        f"/{OWN_BUCKET}/a.json?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20260101%2Fus-east-1%2Fs3%2F"
        "aws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=600&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
        headers={"Authorization": ""},
    ),
]
STS = [Sent("POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15", {"Content-Type": FORM}, "sts")]
GROUP = f"/aws/sagemaker/Endpoints/{OWN}"
LOGS = [
    target("DescribeLogGroups", {"logGroupNamePrefix": "/aws", "limit": 5}, "logs", "Logs_20140328"),
    target("DescribeLogStreams", {"logGroupName": GROUP, "orderBy": "LastEventTime"}, "logs", "Logs_20140328"),
    target(
        "FilterLogEvents",
        {"logGroupName": GROUP, "filterPattern": '?"a b" -c [x]', "startTime": 0, "limit": 9, "nextToken": "x"},
        "logs",
        "Logs_20140328",
    ),
]
RUN = {
    "input": {"a": 1},
    "webhook": "http://127.0.0.1:9/hook",
    "policy": {"executionTimeout": 5000, "lowPriority": True, "ttl": 60000},
    "s3Config": {"accessId": "a", "accessSecret": "b", "bucketName": "c", "endpointUrl": "http://x"},
}
RUNPOD = [
    Sent("POST", f"/v2/{OWN}/run", json.dumps(RUN).encode(), {"Content-Type": "application/json"}),
    Sent("POST", f"/v2/{OWN}/runsync?wait=1000", b'{"input": {"a": 1}}'),
    Sent("POST", f"/v2/{THEIRS}/run", b'{"input": {"a": 1}}'),
    Sent("GET", f"/v2/{OWN}/status/JOB"),
    Sent("GET", f"/v2/{OWN}/status/THEIR_JOB"),
    Sent("GET", f"/v2/{OWN}/stream/JOB"),
    Sent("POST", f"/v2/{OWN}/retry/JOB"),
    Sent("POST", f"/v2/{OWN}/job-done/w1/JOB?isStream=true", b'{"output": {"a": 1}}', {"Content-Type": FORM}),
    Sent("POST", f"/v2/{OWN}/job-done/w1/JOB", b'{"error": "{\\"error_type\\": \\"x\\"}"}', {"Content-Type": FORM}),
    Sent("POST", f"/v2/{OWN}/job-stream/w1/JOB", b'{"output": 1}', {"Content-Type": FORM}),
    Sent("GET", f"/v2/{OWN}/ping/w1?job_id=a,b&status=unhealthy&check=c&reason=d&runpod_version=1.12"),
]


LAMBDA_PATH = "/2015-03-31/functions"
LAMBDA = [
    Sent(
        "POST",
        f"{LAMBDA_PATH}/{OWN}/invocations?Qualifier=%24LATEST",
        b'{"a": 1}',
        {"X-Amz-Invocation-Type": "Event", "X-Amz-Log-Type": "None", "X-Amz-Client-Context": "e30="},
        "lambda",
    ),
    Sent("POST", f"{LAMBDA_PATH}/{OWN}/invocations", b"[1]", {"X-Amz-Log-Type": "Tail"}, "lambda"),
    Sent("GET", f"{LAMBDA_PATH}/?MaxItems=5&Marker=a", service="lambda"),
    Sent("GET", f"{LAMBDA_PATH}/{THEIRS}", service="lambda"),
    Sent(
        "POST",
        LAMBDA_PATH,
        json.dumps(
            {
                "FunctionName": OWN,
                "Runtime": "python3.11",
                "Role": "arn:aws:iam::000000000000:role/any",
                "Handler": "app.handler",
                "Code": {"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="},
                "Timeout": 3,
                "Tags": {"seatrial:workers": "0"},
            }
        ).encode(),
        service="lambda",
    ),
]
WORKER = f"/v1/endpoints/{OWN}/lambda/w1/2018-06-01/runtime"
LAMBDA_RUNTIME = [
    Sent("POST", f"{WORKER}/invocation/JOB/response", b'{"a": 1}'),
    Sent(
        "POST",
        f"{WORKER}/invocation/JOB/error",
        b'{"errorMessage": "m", "errorType": "t", "stackTrace": ["a"]}',
        {"Lambda-Runtime-Function-Error-Type": "Runtime.X"},
    ),
    Sent("POST", f"{WORKER}/init/error", b'{"errorMessage": "m", "errorType": "Runtime.ImportModuleError"}'),
    Sent("POST", f"/v1/endpoints/{OWN}/lambda/w1/ping?request_ids=a,b"),
]
BOUNDARY = {"Content-Type": "multipart/form-data; boundary=XX"}
PART = b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
FILE = PART.replace(b'"a"', b'"image"; filename="a.png"\r\nContent-Type: image/png').replace(b"1\r", b"\x89PNG\r")
STUDIO = [
    Sent(
        "POST", "/inference", b'{"prompt": "a boat", "width": 512, "seed": 1, "job_id": "j1", "expiry": "2030-01-01"}'
    ),
    Sent("POST", "/train", b'{"job_type": "lora_training", "params": {"steps": 1}, "job_id": "t1"}'),
    Sent("GET", "/inference/status/j1"),
    Sent("GET", "/jobs?job_type=inference"),
    Sent("POST", "/inference", PART + FILE + b"--XX--\r\n", BOUNDARY),
]
NATIVE = [
    Sent("POST", f"/v1/endpoints/{OWN}/jobs", PART + FILE + b"--XX--\r\n", BOUNDARY),
    Sent("POST", f"/v1/endpoints/{OWN}/jobs?priority=3&ttl_seconds=60&tag=a", b'{"a": 1}'),
    Sent("POST", f"/v1/endpoints/{OWN}/jobs", b'{"a": 1}', {"Content-Encoding": "gzip", "Idempotency-Key": "k"}),
    Sent("GET", "/v1/jobs?endpoint=own&status=queued&limit=5"),
    Sent("GET", "/v1/jobs/THEIR_JOB"),
    Sent("GET", "/v1/jobs/JOB/result?part=result"),
    Sent("PATCH", f"/v1/endpoints/{OWN}", b'{"workers": 1}', {"Content-Type": "application/json"}),
]
SNS_DATA = b"Action=CreateTopic&Version=2010-03-31&Name=own&Attributes.entry.1.key=a&Attributes.entry.1.value=b"
SNS = [
    Sent("POST", "/", SNS_DATA, {"Content-Type": FORM}, "sns"),
    Sent("POST", "/", b"Action=ListSubscriptions&Version=2010-03-31&NextToken=x", {"Content-Type": FORM}, "sns"),
    Sent(
        "POST",
        "/",
        b"Action=Subscribe&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A000000000000%3Aown&Protocol=http"
        b"&Endpoint=http%3A%2F%2F127.0.0.1%3A9%2F",
        {"Content-Type": FORM},
        "sns",
    ),
]
METRIC = {"Namespace": "AWS/SageMaker", "MetricName": "ApproximateBacklogSize", "StartTime": 0, "EndTime": 600}
WATCHED = {"MetricStat": {"Metric": {"Namespace": "AWS/SageMaker", "MetricName": "Invocations"}, "Period": 60}}
MONITORING = [
    target("ListMetrics", {"Namespace": "AWS/SageMaker"}, "monitoring", "GraniteServiceVersion20100801"),
    target(
        "GetMetricStatistics",
        {**METRIC, "Period": 60, "Statistics": ["Sum"], "Dimensions": [{"Name": "EndpointName", "Value": THEIRS}]},
        "monitoring",
        "GraniteServiceVersion20100801",
    ),
    target(
        "GetMetricData",
        {"StartTime": 0, "EndTime": 600, "MetricDataQueries": [{"Id": "m1", **WATCHED}]},
        "monitoring",
        "GraniteServiceVersion20100801",
    ),
    Sent("POST", "/", b"Action=DescribeAlarms&Version=2010-08-01&MaxRecords=5", {"Content-Type": FORM}, "monitoring"),
]
SCALED = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": f"endpoint/{OWN}/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
AUTOSCALING = [
    target("DescribeScalableTargets", SCALED, "application-autoscaling", "AnyScaleFrontendService"),
    target("DescribeScalingPolicies", SCALED, "application-autoscaling", "AnyScaleFrontendService"),
]
COG = [
    Sent("POST", f"/cog/{OWN}/predictions", b'{"input": {"a": 1}, "webhook_events_filter": ["completed"]}'),
    Sent("PUT", f"/cog/{OWN}/predictions/x", b'{"input": {"a": 1}}', {"Prefer": "respond-async"}),
    Sent("POST", f"/cog/{OWN}/predictions/x/cancel"),
    Sent("GET", f"/cog/{THEIRS}/openapi.json"),
]
SIGNED = {"webhook-id": "m1", "webhook-timestamp": "1700000000", "webhook-signature": "v1,AAAA"}
CALLBACKS = [
    Sent("POST", "/", PART + FILE + b"--XX--\r\n", {**BOUNDARY, "X-Callback-Secret": "s"}),
    Sent(
        "POST",
        "/hook?a=b",
        b'{"type": "job.succeeded", "data": {"job_id": "1"}}',
        {**SIGNED, "Content-Type": "application/json"},
    ),
    Sent("POST", "/", b"job_id=1&status=completed", {"Content-Type": FORM}),
    Sent("POST", "/", b'{"job_id": "\\ud800", "\\udfff": "data:image/png;base64,iVBORw0KGgo="}'),
    Sent("GET", "/callbacks?since=0&wait=0"),
    Sent("GET", "/callbacks?newest=inf"),
]
WIRES = {
    "sagemaker": SAGEMAKER,
    "runtime": RUNTIME,
    "s3": S3,
    "presigned": PRESIGNED,
    "sts": STS,
    "logs": LOGS,
    "runpod": RUNPOD,
    "lambda": LAMBDA,
    "lambda-runtime": LAMBDA_RUNTIME,
    "studio": STUDIO,
    "native": NATIVE,
    "sns": SNS,
    "monitoring": MONITORING,
    "autoscaling": AUTOSCALING,
    "cog": COG,
}

# ------------------------------------------------------------------ what is done to them

AWKWARD = (
    b"", b"\0", b"\xff", b"\xed\xa0\x80", b"%", b"%00", b"%ff", b"%2e%2e%2f", b"../", b"{", b"}", b"[[[[", b'"',
    b"\\ud800", b"null", b"-1", b"1e999", b"NaN", b"99999999999999999999", b"&", b"=", b"&b;", b"\r\n", b"*",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"s3://their-bucket/zanzibar.json", b"theirs", b"\xf0\x9f\x9a\xa2",
)  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with up to three of its stretches cut, doubled or overwritten."""
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 12)))
        what = draw(st.one_of(st.sampled_from(AWKWARD), st.binary(max_size=4)))
        content = content[:start] + what + content[end:]
    return content


def text_of(content: bytes) -> str:
    """For the head of a request: what every HTTP client lets through."""
    return "".join(one for one in content.decode("latin-1") if one.isprintable() and one != " ")


@st.composite
def requests(draw: st.DrawFn, valid: list[Sent]) -> Sent:
    """One request of a wire, changed in its target, one header, or its body."""
    sent = draw(st.sampled_from(valid))
    where = draw(st.sampled_from(["body", "body", "target", "header"] if sent.body else ["target", "header"]))
    if where == "body":
        return replace(sent, body=draw(changed(sent.body)))
    if where == "header" and sent.headers:
        name = draw(st.sampled_from(sorted(sent.headers)))
        return replace(sent, headers={**sent.headers, name: text_of(draw(changed(sent.headers[name].encode())))})
    return replace(sent, target="/" + text_of(draw(changed(sent.target[1:].encode()))))


class Line:
    """A connection that is used again as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, request: bytes, method: str) -> tuple[int, bytes]:
        """The status and the body."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=ANSWER_SECONDS)
        self._socket.sendall(request)
        answer = http.client.HTTPResponse(self._socket, method=method)
        answer.begin()
        body = answer.read()
        ends = answer.will_close
        answer.close()
        if ends:
            self.close()
        return answer.status, body

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def bounded(test: Callable[..., None]) -> Callable[..., None]:
    """As many examples as were asked for; the same ones each time unless more were."""
    asked = settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="FUZZ_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    return asked(test)


@pytest.mark.parametrize("wire", WIRES)
def test_no_bytes_bring_a_wire_down(ground: Ground, wire: str) -> None:
    line = Line(ground.studio_port if wire == "studio" else int(ground.server.url.rpartition(":")[2]))
    health = Sent("GET", "/health" if wire == "studio" else "/healthz")

    @bounded
    @given(sent=requests(WIRES[wire]), is_narrow=st.booleans())
    def one(sent: Sent, is_narrow: bool) -> None:
        key = ground.narrow if is_narrow else ground.root
        named = sent.target.replace("THEIR_JOB", ground.their_job).replace("JOB", ground.own_job)
        request = raw(replace(sent, target=named), key, ground)
        status, body = line.ask(request, sent.method)
        assert status < 500 or status == NOT_OFFERED, (status, body[:2000], request)
        assert OUR_CODE not in body, (body[:2000], request)
        if is_narrow and SECRET.encode() not in request:
            assert SECRET.encode() not in body, (body[:2000], request)
        assert line.ask(raw(health, key, ground), "GET")[0] == 200, request

    before = len(ground.log)
    try:
        one()
    finally:
        line.close()
    said = ground.log[before:]
    assert "Traceback" not in said, said[-4000:]


def test_no_bytes_bring_the_receiver_of_callbacks_down(tmp_path: Path) -> None:
    process = forks.start("callbacks", "--port", 0, "--json", "--secret", "whsec_AAAA", cwd=tmp_path)
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]
    line = Line(int(url.rstrip("/").rpartition(":")[2]))

    @bounded
    @given(sent=requests(CALLBACKS))
    def one(sent: Sent) -> None:
        status, body = line.ask(unsigned(sent), sent.method)
        assert status < 500, (status, body[:2000], sent)
        assert OUR_CODE not in body, (body[:2000], sent)
        told = line.ask(unsigned(Sent("GET", "/callbacks")), "GET")
        assert told[0] == 200, (told, sent)

    try:
        one()
    finally:
        line.close()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert "Traceback" not in said, said[-4000:]
