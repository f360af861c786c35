"""SDKs that nobody changed, in environments with nothing of ours, against a real server."""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import Api

pytestmark = pytest.mark.slow  # an environment of hundreds of megabytes is installed first

INFERENCE = """
    import json


    def model_fn(model_dir):
        return None


    def transform_fn(model, body, content_type, accept):
        asked = json.loads(body)
        if "refuse" in asked:
            raise ValueError(asked["refuse"])
        return json.dumps({"echo": asked}), "application/json"
"""
PACKAGE = {"code/inference.py": INFERENCE, "samples/one.json": "{}"}

ASYNC_PREDICTOR = """
    import json, os
    import sagemaker
    from sagemaker.async_inference.waiter_config import WaiterConfig
    from sagemaker.deserializers import JSONDeserializer
    from sagemaker.exceptions import AsyncInferenceModelError
    from sagemaker.predictor import Predictor
    from sagemaker.predictor_async import AsyncPredictor
    from sagemaker.serializers import JSONSerializer

    session = sagemaker.Session(default_bucket="sdk-inputs")
    wire = {"serializer": JSONSerializer(), "deserializer": JSONDeserializer()}
    predictor = AsyncPredictor(Predictor("echo", sagemaker_session=session, **wire))
    soon = WaiterConfig(max_attempts=60, delay=1)
    answer = predictor.predict_async(data={"hello": "ahoy"})
    told = {"result": answer.get_result(soon), "output": answer.output_path, "failure": answer.failure_path}
    told["waited"] = predictor.predict(data={"hello": "again"}, waiter_config=soon)
    try:
        predictor.predict_async(data={"refuse": "too dark"}).get_result(soon)
    except AsyncInferenceModelError as error:
        told["error"] = str(error)
    told["version"] = sagemaker.__version__
    print(json.dumps(told), flush=True)
    os._exit(0)  # the SDK's threads go on to wait for the other one of output and failure
"""
CORE = """
    import json
    import boto3
    from sagemaker.core.resources import Endpoint

    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="core-inputs")
    s3.put_object(Bucket="core-inputs", Key="a.json", Body=b'{"hello": 1}', ContentType="application/json")
    endpoint = Endpoint.get("echo")
    accepted = endpoint.invoke_async(input_location="s3://core-inputs/a.json", content_type="application/json")
    bucket, key = accepted.output_location.removeprefix("s3://").split("/", 1)
    s3.get_waiter("object_exists").wait(Bucket=bucket, Key=key, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    told = {"status": endpoint.endpoint_status, "arn": endpoint.endpoint_arn}
    told["result"] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    told["waited"] = json.loads(endpoint.invoke(body=b'{"hello": 2}', content_type="application/json").body.read())
    print(json.dumps(told))
"""
RECEIVER = """
    import json, sys
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from standardwebhooks import Webhook, WebhookVerificationError

    wanted, stranger = Webhook(sys.argv[1]), Webhook("whsec_" + "QUJD" * 8)


    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            told = {"payload": wanted.verify(body, dict(self.headers.items())), "forged": []}
            for checks, text in ((stranger, body), (wanted, body + " ")):
                try:
                    checks.verify(text, dict(self.headers.items()))
                except WebhookVerificationError as error:
                    told["forged"].append(str(error))
            self.send_response(204)
            self.end_headers()
            print(json.dumps(told), flush=True)

        def log_message(self, *_):
            pass


    server = HTTPServer(("127.0.0.1", 0), Hook)
    print(server.server_address[1], flush=True)
    server.handle_request()
    server.server_close()
"""


@pytest.fixture(scope="module")
def api(shared_server: Any) -> Any:
    made = Api(shared_server)
    made.serve("echo", PACKAGE)
    yield made
    made.http.close()


@pytest.fixture
def run(python_of: Callable[[str], Path], api: Api, tmp_path: Path) -> Callable[[str, str], dict[str, Any]]:
    """What a script prints last, run in that environment with the variables of `seatrial env` and no others."""

    def go(name: str, script: str) -> dict[str, Any]:
        (tmp_path / "script.py").write_text(textwrap.dedent(script))
        variables = {**api.server.environment, "HOME": str(tmp_path), "SAGEMAKER_SUPPRESS_V2_WARNING": "1"}
        command = [python_of(name), "script.py"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=variables, timeout=110)
        assert done.returncode == 0, done.stderr[-4000:]
        return dict(json.loads(done.stdout.splitlines()[-1]))

    return go


def test_the_async_predictor_of_the_sagemaker_sdk(run: Any, api: Api) -> None:
    told = run("sagemaker", ASYNC_PREDICTOR)
    assert told["version"].startswith("2.")
    assert told["result"] == {"echo": {"hello": "ahoy"}}
    assert told["waited"] == {"echo": {"hello": "again"}}
    assert "too dark" in told["error"]
    assert json.loads(api.object(told["output"])) == told["result"]
    assert told["failure"].endswith("-error.out")


def test_the_endpoint_of_sagemaker_core(run: Any) -> None:
    told = run("sagemaker-core", CORE)
    assert (told["status"], told["arn"].rpartition("/")[2]) == ("InService", "echo")
    assert told["result"] == {"echo": {"hello": 1}}
    assert told["waited"] == {"echo": {"hello": 2}}


def test_a_receiver_with_the_library_of_standard_webhooks(
    python_of: Callable[[str], Path], api: Api, tmp_path: Path
) -> None:
    (tmp_path / "receiver.py").write_text(textwrap.dedent(RECEIVER))
    secret = api.server.variables["SEATRIAL_WEBHOOK_SECRET"]
    with subprocess.Popen(
        [python_of("standardwebhooks"), "receiver.py", secret], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env={}
    ) as receiver:
        assert receiver.stdout is not None
        url = f"http://127.0.0.1:{int(receiver.stdout.readline())}/"
        accepted = api.post("echo", {"a": 1}, webhook=url)
        assert accepted.status_code == 202, accepted.text
        told = json.loads(receiver.stdout.readline())
    assert told["payload"]["data"]["job_id"] == accepted.json()["id"]
    assert told["forged"] == ["No matching signature found", "No matching signature found"]
