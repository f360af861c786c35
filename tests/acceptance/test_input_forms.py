"""Every declared form of a media field on every door whose wire can carry it: the handler gets the same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.acceptance.conftest import Api
from tests.conftest import RunningServer, until

BYTES = bytes(range(256)) * 3
DIGEST = hashlib.sha256(BYTES).hexdigest()
BUCKET, KEY = "plans", "sub folder/ä.bin"
PACKAGE = {
    "seatrial.toml": """
        [package]
        name = "look"
        handler = "handler:Model"
        [tasks.inference]
        description = "Says what it got"
        [tasks.inference.input.file]
        type = "file"
        required = true
        form = "bytes"
        key_field = "file_key"
        bucket_field = "bucket"
        bucket_default = "plans"
        [tasks.inference.input.prompt]
        type = "string"
        [tasks.inference.output]
        media_type = "application/json"
        [[tasks.inference.samples]]
        name = "one"
        input = "one.json"
    """,
    "handler.py": """
        import hashlib
        class Model:
            def inference(self, file, prompt=None):
                return {"sha256": hashlib.sha256(file).hexdigest()}
    """,
    "one.json": '{"file": "data:application/octet-stream;base64,aGVsbG8="}',
}
TEXT = base64.b64encode(BYTES).decode()
FORMS: dict[str, Callable[[str], dict[str, Any]]] = {
    "key": lambda url: {"file_key": KEY},
    "key-and-bucket": lambda url: {"file_key": KEY, "bucket": BUCKET},
    "key-in-the-field": lambda url: {"file": {"bucket": BUCKET, "key": KEY}},
    "uri": lambda url: {"file": f"s3://{BUCKET}/{KEY}"},
    "url": lambda url: {"file": url},
    "data-url": lambda url: {"file": f"data:application/octet-stream;base64,{TEXT}"},
    "base64": lambda url: {"file": TEXT},
}


class Doors:
    """One endpoint behind each door; each method takes a request and gives the handler's answer."""

    def __init__(self, server: RunningServer, studio: str) -> None:
        self.server = server
        self.studio = studio
        self.api = Api(server)
        self.api.serve("look", {name: textwrap.dedent(text) for name, text in PACKAGE.items()})
        s3 = server.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=BYTES)
        self.url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY}, ExpiresIn=300)
        self.runtime = server.client("sagemaker-runtime")
        self.functions = server.client("lambda")

    def native(self, body: bytes, media_type: str) -> Any:
        answer = self.api.http.post(
            "/v1/endpoints/look/jobs", content=body, headers={"Content-Type": media_type, "Prefer": "wait=20"}
        )
        assert answer.status_code == 200, answer.text
        return json.loads(self.api.object(answer.json()["result"]))

    def sagemaker(self, body: bytes, media_type: str) -> Any:
        answer = self.runtime.invoke_endpoint(EndpointName="look", ContentType=media_type, Body=body)
        return json.loads(answer["Body"].read())

    def sagemaker_async(self, body: bytes, media_type: str) -> Any:
        """The request lies in an object."""
        name = hashlib.sha256(body).hexdigest()
        self.server.client("s3").put_object(Bucket=BUCKET, Key=f"in/{name}", Body=body)
        answer = self.runtime.invoke_endpoint_async(
            EndpointName="look", ContentType=media_type, InputLocation=f"s3://{BUCKET}/in/{name}"
        )
        return self._published(answer)

    def sagemaker_inline(self, body: bytes, media_type: str) -> Any:
        return self._published(
            self.runtime.invoke_endpoint_async(EndpointName="look", ContentType=media_type, Body=body)
        )

    def _published(self, answer: Any) -> Any:
        bucket, _, key = answer["OutputLocation"].removeprefix("s3://").partition("/")
        s3 = self.server.client("s3")
        until(lambda: s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents"), seconds=20)
        return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def runpod(self, request: Any) -> Any:
        answer = self.api.http.post("/v2/look/runsync", json={"input": request})
        return answer.json()["output"]

    def aws_lambda(self, request: Any) -> Any:
        answer = self.functions.invoke(FunctionName="look", Payload=json.dumps(request).encode())
        return json.loads(answer["Payload"].read())

    def studio_protocol(self, request: Any) -> Any:
        job = httpx.post(f"{self.studio}/inference", json={"prompt": "p", **request}, timeout=20)
        assert job.status_code == 200, job.text
        page = f"{self.studio}/inference/status/{job.json()['job_id']}"
        until(lambda: httpx.get(page).json()["status"] in ("completed", "failed"), seconds=20)
        assert httpx.get(page).json()["status"] == "completed", httpx.get(page).text
        return httpx.get(f"{self.studio}/inference/result/{job.json()['job_id']}").json()


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    server = RunningServer(
        tmp_path_factory.mktemp("forms") / "data", ["--studio", "look:0", "--allow-receiver", "127.0.0.1/32"]
    ).start()
    assert server.process is not None
    assert server.process.stdout is not None
    studio = server.process.stdout.readline().split()[-1]
    made = Doors(server, studio)
    yield made
    made.api.http.close()
    server.terminate()


WITH_BODIES = ("native", "sagemaker", "sagemaker_async", "sagemaker_inline")
JSON_ONLY = ("runpod", "aws_lambda", "studio_protocol")


@pytest.mark.parametrize(
    "door",
    [
        *(door for door in WITH_BODIES + JSON_ONLY if door != "sagemaker_inline"),
        pytest.param("sagemaker_inline", marks=pytest.mark.slow),  # as InputLocation, which runs always
    ],
)
def test_in_json(doors: Doors, door: str) -> None:
    """All forms at the same time."""

    def answer(form: str) -> Any:
        request = FORMS[form](doors.url)
        given = (request,) if door in JSON_ONLY else (json.dumps(request).encode(), "application/json")
        return getattr(doors, door)(*given)

    with ThreadPoolExecutor(len(FORMS)) as threads:
        answers = dict(zip(FORMS, threads.map(answer, FORMS), strict=True))
    assert answers == {form: {"sha256": DIGEST} for form in FORMS}


@pytest.mark.parametrize("door", WITH_BODIES)
def test_as_a_raw_body(doors: Doors, door: str) -> None:
    assert getattr(doors, door)(BYTES, "application/octet-stream") == {"sha256": DIGEST}


@pytest.mark.parametrize("door", WITH_BODIES)
def test_as_a_file_part_of_a_form(doors: Doors, door: str) -> None:
    form = httpx.Request("POST", "http://x", files={"file": ("a.bin", BYTES)}, data={"prompt": "p"})
    form.read()
    assert getattr(doors, door)(form.content, form.headers["content-type"]) == {"sha256": DIGEST}


def test_as_a_text_part_of_a_form(doors: Doors) -> None:
    for form in ("uri", "url", "data-url", "base64"):
        fields = {name: (None, value) for name, value in FORMS[form](doors.url).items()}
        request = httpx.Request("POST", "http://x", files=fields)
        request.read()
        assert doors.native(request.content, request.headers["content-type"]) == {"sha256": DIGEST}, form
