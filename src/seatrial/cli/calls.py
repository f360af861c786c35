"""Ready-to-paste calls of a task, in four languages, for shells with the variables of `seatrial env`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.http.dialects.runpod.worker import environment

INPUTS = "seatrial-inputs"
_BY_TYPE: Mapping[str, Any] = {
    "string": "text",
    "integer": 1,
    "number": 1.0,
    "boolean": True,
    "object": {},
    "array": [],
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of one task: its plain fields with example values, and its media fields with example files."""

    endpoint: str
    plain: Mapping[str, Any]
    media: Mapping[str, str]

    def payload(self) -> dict[str, Any]:
        """The JSON body, media fields naming uploaded objects."""
        return dict(self.plain) | {name: f"s3://{INPUTS}/{file}" for name, file in self.media.items()}


def call_of(endpoint: str, contract: Mapping[str, Any], task: Mapping[str, Any] | None) -> Call:
    """The call of a task (None: of a package without a contract); only required fields, and media if any."""
    if task is None:
        return Call(endpoint, {}, {})
    named = {contract["task_field"]: task["name"]} if len(contract["tasks"]) > 1 else {}
    fields = task["fields"]
    media = [one for one in fields if one["type"] in ("image", "file")]
    wanted = [one for one in media if one["required"]] or media[:1]
    plain = {one["name"]: example_value(one) for one in fields if one["required"] and one not in media}
    return Call(endpoint, named | plain, {one["name"]: _file(one) for one in wanted})


def example_value(field: Mapping[str, Any]) -> Any:
    """A value that the field's limits allow, as far as its schema's keywords tell."""
    schema = field["schema"]
    if field["default"] is not None:
        return field["default"]
    for key in ("const", "minimum", "maximum"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if schema.get(key):
            return schema[key][0]
    if field["type"] == "string":
        return "text".ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength", None)]
    return _BY_TYPE[field["type"]]


def _file(field: Mapping[str, Any]) -> str:
    suffix = field["formats"][0] if field["formats"] else ("png" if field["type"] == "image" else "bin")
    return f"{field['name']}.{suffix}"


def curl(call: Call) -> str:
    """curl, with a form where there are files."""
    key = '-H "Authorization: Bearer $SEATRIAL_API_KEY"'
    if call.media:
        parts = [f"-F {shlex.quote(f'{name}={_text(value)}')}" for name, value in call.plain.items()]
        parts += [f"-F {shlex.quote(f'{name}=@{file}')}" for name, file in call.media.items()]
        body = " ".join(parts)
    else:
        body = f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(call.payload()))}"
    read_id = """python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])'"""
    return (
        f'JOB=$(curl -sS "$SEATRIAL_URL/v1/endpoints/{call.endpoint}/jobs" {key} \\\n'
        f"  {body} | {read_id})\n"
        f'curl -sS "$SEATRIAL_URL/v1/jobs/$JOB/result?wait=60" {key}'
    )


def aws(call: Call) -> str:
    """The aws command line: upload, invoke, and the locations to read."""
    uploads = [f"aws s3 cp {shlex.quote(file)} s3://{INPUTS}/{file}" for file in call.media.values()]
    lines = [
        *uploads,
        f"echo {shlex.quote(json.dumps(call.payload()))} | aws s3 cp - s3://{INPUTS}/request.json",
        f"aws sagemaker-runtime invoke-endpoint-async --endpoint-name {call.endpoint} \\",
        f"  --content-type application/json --input-location s3://{INPUTS}/request.json",
    ]
    return "\n".join(lines)


def boto3(call: Call) -> str:
    """boto3, as asynchronous inference is used with SageMaker."""
    uploads = [f's3.upload_file("{file}", "{INPUTS}", "{file}")' for file in call.media.values()]
    lines = [
        "import json, time, boto3",
        "",
        's3, runtime = boto3.client("s3"), boto3.client("sagemaker-runtime")',
        *uploads,
        f's3.put_object(Bucket="{INPUTS}", Key="request.json", Body=json.dumps({call.payload()!r}))',
        "job = runtime.invoke_endpoint_async(",
        f'    EndpointName="{call.endpoint}", ContentType="application/json",',
        f'    InputLocation="s3://{INPUTS}/request.json",',
        ")",
        "result = None",
        "while result is None:",
        '    for location in (job["OutputLocation"], job["FailureLocation"]):',
        '        bucket, _, key = location.removeprefix("s3://").partition("/")',
        '        if s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"]:',
        '            result = s3.get_object(Bucket=bucket, Key=key)["Body"].read()',
        "    time.sleep(0.2)",
        "print(result)",
    ]
    return "\n".join(lines)


def python(call: Call) -> str:
    """Plain Python with httpx; requests reads almost the same."""
    if call.media:
        files = ", ".join(f'"{name}": open("{file}", "rb")' for name, file in call.media.items())
        texts = {name: _text(value) for name, value in call.plain.items()}
        body = f"data={texts!r}, files={{{files}}}"
    else:
        body = f"json={call.payload()!r}"
    lines = [
        "import os, httpx  # with requests: a Session with these headers, and full URLs",
        "",
        'key = {"Authorization": "Bearer " + os.environ["SEATRIAL_API_KEY"]}',
        'api = httpx.Client(base_url=os.environ["SEATRIAL_URL"], headers=key, timeout=90)',
        f'job = api.post("/v1/endpoints/{call.endpoint}/jobs", {body}).json()',
        'print(api.get(job["links"]["result"], params={"wait": 60}).content)',
    ]
    return "\n".join(lines)


def runpod(call: Call) -> str:
    """The SDK of RunPod."""
    lines = [
        "import os, runpod",
        "",
        'runpod.endpoint_url_base = os.environ["SEATRIAL_URL"] + "/v2"',
        'runpod.api_key = os.environ["SEATRIAL_API_KEY"]',
        f'print(runpod.Endpoint("{call.endpoint}").run_sync({{"input": {call.payload()!r}}}))',
    ]
    return "\n".join(lines)


def aws_lambda(call: Call) -> str:
    """The `aws` command line, as for a function of AWS Lambda."""
    payload = shlex.quote(json.dumps(call.payload()))
    return f"aws lambda invoke --function-name {call.endpoint} --payload {payload} result.json"


def lambda_worker(call: Call) -> str:
    """What makes an unmodified Lambda runtime, here or on another machine, pull the endpoint's jobs."""
    return f"seatrial lambda worker {call.endpoint} -- python -m awslambdaric module.function"


def runpod_worker(call: Call) -> str:
    """The environment in which an unmodified RunPod worker, here or on another machine, pulls the endpoint's jobs."""
    return environment(call.endpoint)


CALLS = {
    "curl": curl,
    "aws": aws,
    "boto3": boto3,
    "python": python,
    "runpod": runpod,
    "runpod-worker": runpod_worker,
    "lambda": aws_lambda,
    "lambda-worker": lambda_worker,
}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
