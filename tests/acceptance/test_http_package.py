"""A serving container's folder as it is: Flask behind /ping and /invocations, served by workers of ours."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

APP = """
    import os, threading, time
    from flask import Flask, Response, request

    app = Flask(__name__)
    BOTH = threading.Barrier(2)


    @app.get("/ping")
    def ping():
        return "", 200


    @app.post("/invocations")
    def invocations():
        given = request.get_json(force=True)
        if given.get("do") == "fail":
            raise RuntimeError("too dark")
        if given.get("do") == "exit":
            os._exit(3)
        if given.get("do") == "sleep":
            time.sleep(600)
        if given.get("do") == "meet":
            BOTH.wait(20)
        if given.get("do") == "chunk":
            return Response(iter(["a", "b"]), mimetype="text/plain")
        if "text" not in given:
            return {"message": "no text", "code": "NoText"}, 400
        return {"text": given["text"], "of": request.headers.get("X-Amzn-SageMaker-Custom-Attributes"),
                "model": sorted(os.listdir(os.environ["SM_MODEL_DIR"])), "port": os.environ["PORT"]}


    if __name__ == "__main__":
        app.run(port=8080, threaded=True)
"""
TOML = f"""
    [package]
    command = ["python", "app.py"]
    python = "{sys.executable}"
"""
SAMPLE = '{"text": "ahoy"}'
FLASK = {"app.py": APP, "seatrial.toml": TOML, "samples/a.json": SAMPLE}


@pytest.fixture
def flask(api: Any) -> Any:
    if api.http.get("/v1/endpoints/f").status_code == 404:
        api.serve("f", FLASK, invocation_timeout_seconds=20)
    return api


def ended(api: Any, body: Any, **options: Any) -> Any:
    answer = api.post("f", body, **options)
    assert answer.status_code == 202, answer.text
    return api.ended(answer.json()["id"])


def test_the_sagemaker_client_is_answered(flask: Any) -> None:
    runtime = flask.server.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(
        EndpointName="f", Body=SAMPLE, CustomAttributes="c=1", ContentType="application/json"
    )
    told = json.loads(answer["Body"].read())
    assert (told["text"], told["of"], told["port"]) == ("ahoy", "c=1", "8080")
    assert "app.py" in told["model"]


@pytest.mark.parametrize(
    ("body", "error_type", "said"),
    [
        ({}, "input_refused", "no text"),
        ({"do": "fail"}, "handler_error", "Internal Server Error"),
        ({"do": "chunk"}, "output_not_serialisable", "no Content-Length"),
        ({"do": "exit"}, "worker_crashed", "exit code 3"),
    ],
)
def test_what_is_no_result_is_a_failure_with_the_servers_words(
    flask: Any, body: Any, error_type: str, said: str
) -> None:
    job = ended(flask, body)
    assert (job["status"], job["error"]["error_type"]) == ("failed", error_type)
    assert said in job["error"]["message"]


def test_the_synchronous_door_tells_the_servers_status(flask: Any) -> None:
    runtime = flask.server.client("sagemaker-runtime", retries={"max_attempts": 0})
    with pytest.raises(runtime.exceptions.ModelError) as error:
        runtime.invoke_endpoint(EndpointName="f", Body=b"{}", ContentType="application/json")
    said = error.value.response
    assert "no text" in said["OriginalMessage"]
    assert said["OriginalStatusCode"] == 400


@pytest.mark.slow  # one more trial; the worker's own tests show it too
def test_several_requests_at_once(api: Any) -> None:
    api.serve("wide", FLASK | {"seatrial.toml": TOML + "[http]\nconcurrency = 2\n"})
    jobs = [api.post("wide", {"do": "meet", "text": str(number)}).json()["id"] for number in range(2)]
    assert [api.ended(job)["status"] for job in jobs] == ["succeeded", "succeeded"]


def test_a_ping_alone_proves_nothing(api: Any) -> None:
    broken = FLASK | {"app.py": APP.replace("given = request.get_json(force=True)", "given = model.read(request)")}
    endpoint = api.deploy("broken", broken)
    assert endpoint["status"] == "Failed"
    assert "prove" in endpoint["failure_reason"]
    assert "Internal Server Error" in endpoint["failure_reason"]
    assert "NameError: name 'model' is not defined" in endpoint["failure_reason"]
    assert "<" not in endpoint["failure_reason"].partition("Remedy")[0].replace("<module>", "")


@pytest.mark.slow  # two more trials; the worker's own tests show it too
def test_a_server_that_never_answers_a_ping_ends_failed_with_its_last_lines(api: Any) -> None:
    broken = FLASK | {"app.py": "import time\nprint('loading for ever', flush=True)\ntime.sleep(600)\n"}
    endpoint = api.deploy("mute", broken, load_timeout_seconds=2)
    assert endpoint["status"] == "Failed"
    assert "did not answer GET /ping on port 8080 with 200 within 2 s" in endpoint["failure_reason"]
    gone = FLASK | {"app.py": "raise SystemExit('no weights here')\n"}
    endpoint = api.deploy("gone", gone)
    assert endpoint["status"] == "Failed"
    assert "no weights here" in endpoint["failure_reason"]
