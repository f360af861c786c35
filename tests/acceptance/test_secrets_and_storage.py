"""What a worker is given: secrets that show nowhere else, storage that it may reach, and the paths that it expects."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

SECRET = "correct-horse-battery-staple"
BOTO = """\
import os

import boto3
from botocore.exceptions import ClientError


def model_fn(model_dir):
    return boto3.client("s3")


def predict_fn(data, s3):
    if data["do"] == "copy":
        body = s3.get_object(Bucket=data["bucket"], Key=data["key"])["Body"].read()
        s3.put_object(Bucket=data["bucket"], Key=data["key"] + ".copy", Body=body[::-1])
        return {"value": len(body)}
    if data["do"] == "nothing":
        return {"value": 0}
    try:
        boto3.client(data["service"]).__getattribute__(data["do"])(**data["given"])
    except ClientError as error:
        return {"value": [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]}
    return {"value": "it was allowed"}
"""


@pytest.fixture(scope="module", autouse=True)
def _secret_in_the_environment():
    """Of the server that this module's tests share, before it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SESAME", SECRET)
        yield


def everything_shown(api, name, job_ids) -> str:
    """All that the server tells of an endpoint and its jobs, and its own log."""
    http, server = api.http, api.server
    shown = [http.get(f"/v1/endpoints/{name}").text, http.get("/v1/endpoints").text]
    shown += [http.get(f"/v1/endpoints/{name}/logs").text]
    shown += [http.get(f"/v1/jobs/{job_id}{what}").text for job_id in job_ids for what in ("", "/logs", "/result")]
    for arguments in (["describe", name], ["endpoints", "show", name], ["logs", name]):
        shown.append(server.cli(*arguments).stdout)
    shown.append(json.dumps(server.client("sagemaker").describe_endpoint(EndpointName=name), default=str))
    group = f"/aws/sagemaker/Endpoints/{name}"
    shown.append(json.dumps(server.client("logs").filter_log_events(logGroupName=group)))
    shown.append((server.data.parent / "server.log").read_text())
    return "\n".join(shown)


def test_a_secret_reaches_the_worker_and_shows_nowhere(api):
    loading = "print('loading with', os.environ['TOKEN'], flush=True)"
    api.serve("sesame", secrets={"TOKEN": "env:SESAME"}, env={"PLAIN": "plainly", "WHILE_LOADING": loading})
    digest = api.run("sesame", "hashlib.sha256(os.environ['TOKEN'].encode()).hexdigest()")
    assert digest == hashlib.sha256(SECRET.encode()).hexdigest()
    assert api.run("sesame", "'SESAME' in os.environ") is False, "nothing else of the server's environment passes"
    codes = [
        "print('the token is', os.environ['TOKEN'])",
        "print(os.environ['TOKEN'], file=sys.stderr)",
        "subprocess.run(['printenv', 'TOKEN'])",
        "fail(OwnError('refused with ' + os.environ['TOKEN']))",
        "fail(type('E', (Exception,), {'details': {'token': os.environ['TOKEN']}})())",
        "print(os.environ['TOKEN'], flush=True) or os._exit(3)",
    ]
    jobs = [api.submit("sesame", code) for code in codes]
    assert [api.ended(one)["status"] for one in jobs] == ["succeeded"] * 2 + ["failed"] * 4

    shown = everything_shown(api, "sesame", jobs)

    assert "plainly" in shown
    assert "the token is" in shown
    assert "refused with" in shown
    assert SECRET not in shown
    key = api.run("sesame", "os.environ['AWS_SECRET_ACCESS_KEY']")
    assert key not in shown


def test_a_secret_in_a_load_failure(api):
    endpoint = api.deploy(
        "careless",
        "obedient",
        secrets={"TOKEN": "env:SESAME"},
        env={"WHILE_LOADING": "fail(RuntimeError('bad token ' + os.environ['TOKEN']))"},
    )
    assert endpoint["status"] == "Failed"
    assert "bad token" in endpoint["failure_reason"]
    assert SECRET not in everything_shown(api, "careless", [])


def test_secrets_of_the_package_itself_and_from_files(make_server, tmp_path, api_of):
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "token").write_text(SECRET + "\n")
    server = make_server("--secrets-dir", str(folder))
    api = api_of(server)
    manifest = """\
        [package]
        handler = "own:own"
        [secrets]
        TOKEN = { file = "token" }
        [tasks.own]
        [[tasks.own.samples]]
        input = "one.json"
        """
    files = {
        "seatrial.toml": manifest,
        "one.json": "{}",
        "own.py": "import os\n\n\ndef own():\n    return {'value': len(os.environ['TOKEN'])}\n",
    }
    api.serve("own", files)
    assert api.value(api.post("own", {}).json()["id"]) == len(SECRET)


def test_storage_that_the_worker_may_reach(api):
    """An unmodified boto3 inside of the package: the interpreter is the one that runs these tests."""
    s3 = api.server.client("s3")
    s3.create_bucket(Bucket="shared-things")
    s3.put_object(Bucket="shared-things", Key="a", Body=b"abc")
    files = {"code/inference.py": BOTO, "samples/a.json": '{"do": "nothing"}'}
    api.serve("storing", files, python=sys.executable)

    def ask(**body):
        return api.value(api.post("storing", body).json()["id"])

    assert ask(do="copy", bucket="shared-things", key="a") == 3
    assert s3.get_object(Bucket="shared-things", Key="a.copy")["Body"].read() == b"cba"
    refused = [
        ask(do="list_endpoints", service="sagemaker", given={}),
        ask(do="delete_endpoint", service="sagemaker", given={"EndpointName": "storing"}),
        ask(do="invoke_endpoint", service="sagemaker-runtime", given={"EndpointName": "storing", "Body": "{}"}),
        ask(do="describe_log_groups", service="logs", given={}),
    ]
    assert [code for code, _ in refused] == ["AccessDeniedException"] * 4
    assert {status for _, status in refused} <= {400, 403}
    assert api.endpoint("storing")["status"] == "InService"


def test_paths_that_handlers_hard_code(api, tmp_path):
    handler = """\
        import os

        SEEN = {}


        def model_fn(model_dir):
            SEEN["model_dir"] = model_dir
            with open("/opt/ml/model/weights.txt") as weights:
                SEEN["weights"] = weights.read()
            with open("/opt/ml/code/inference.py") as code:
                SEEN["code"] = "def model_fn" in code.read()
            SEEN["task"] = sorted(os.listdir("/var/task"))
            with open("/tmp/mine", "w") as file:
                file.write("only here")
            SEEN["tmp"] = sorted(os.listdir("/tmp"))


        def predict_fn(data, model):
            return SEEN
        """
    host_file = Path("/tmp") / f"seen-by-all-{tmp_path.name}"
    files = {"code/inference.py": handler, "weights.txt": "heavy", "samples/a.json": "{}"}
    host_file.write_text("of the host")
    try:
        endpoint = api.deploy("paths", files)
        if endpoint["status"] == "Failed":
            assert "/opt/ml/model" in endpoint["failure_reason"], "said clearly before deployment"
            pytest.skip(f"no isolation here: {endpoint['failure_reason']}")
        answer = api.http.get(f"/v1/jobs/{api.post('paths', {}).json()['id']}/result", params={"wait": 20}).json()
    finally:
        host_file.unlink()
    assert answer["model_dir"] == "/opt/ml/model"
    assert (answer["weights"], answer["code"]) == ("heavy", True)
    assert answer["task"] == ["code", "samples", "weights.txt"]
    assert "mine" in answer["tmp"]
    assert host_file.name not in answer["tmp"]
    assert not Path("/tmp/mine").exists()
