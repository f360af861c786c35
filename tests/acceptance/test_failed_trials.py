"""A trial that failed can be debugged: what it left is kept, one printed line shows it again, and it can go on."""

from __future__ import annotations

import shlex
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

SECRET = "an-open-secret-of-many-letters"
RAISES = """\
import os, tempfile

def model_fn(model_dir):
    print("loaded from", model_dir)
    return os.environ.get("SESAME")

def transform_fn(model, data, content_type, accept):
    with open(os.path.join(tempfile.gettempdir(), "half.png"), "wb") as file:
        file.write(b"half of a picture")
    print("the key is", model)
    raise KeyError("checkpoint")
"""
ECHO = """\
import os

def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    return data, accept
"""


@pytest.fixture(scope="module", autouse=True)
def _secret_in_the_environment():
    """Of the server that this module's tests share, before it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SESAME", SECRET)
        yield


def fails(api, name, handler, body='{"text": "ahoy"}', **settings):
    """The failed version's last stage, and the endpoint."""
    files = {"code/inference.py": handler, "samples/a.json": body}
    endpoint = api.deploy(name, files, **settings)
    assert endpoint["status"] == "Failed"
    return endpoint["versions"][-1]["stages"][-1], endpoint


def run_line(api, line, *more) -> subprocess.CompletedProcess[str]:
    """A printed line, as a user pastes it."""
    environment = {**api.server.environment, "SESAME": SECRET}
    command = [sys.executable, "-m", *shlex.split(line), *more]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def stages_of(endpoint):
    """Of the newest version's trial, by name."""
    return {one["stage"]: one for one in endpoint["versions"][-1]["stages"]}


def printed_line(endpoint) -> str:
    return str(endpoint["failure_reason"].rpartition(" Reproduce: ")[2])


def test_one_printed_line_shows_the_failure_again_without_the_server(api):
    stage, endpoint = fails(api, "raises", RAISES, secrets={"SESAME": "env:SESAME"})
    folder = Path(stage["details"]["remains"]["folder"])
    assert folder.parent == api.server.data / "remains"
    assert (folder / "request" / "body").read_text() == '{"text": "ahoy"}'
    assert [file.read_bytes() for file in folder.glob("workers/*/tmp/half.png")] == [b"half of a picture"]
    assert "the key is [redacted SESAME]" in (folder / "logs.txt").read_text()
    assert not [file for file in folder.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]

    again = run_line(api, printed_line(endpoint))
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1] == "KeyError: 'checkpoint'"
    assert 'File "/opt/ml/model/code/inference.py", line 11' in again.stderr, "the same paths as in the trial"
    assert "by_hand.py" not in again.stderr
    assert "the key is None" in again.stdout
    assert f"the key is {SECRET}" in run_line(api, printed_line(endpoint), "--with-secrets").stdout


def test_a_shell_where_the_worker_ran(api):
    fails(api, "shelled", RAISES, env={"COLOUR": "blue"})
    code = "import inference, os; print(inference.__file__, os.environ['COLOUR'], os.listdir('/tmp'), os.getcwd())"
    shelled = api.server.cli("trial", "shell", "shelled", "--data", str(api.server.data), "--", "python3", "-c", code)
    place, colour, listed = shelled.stdout.split(maxsplit=2)
    assert (place, colour) == ("/opt/ml/model/code/inference.py", "blue")
    assert "'half.png'" in listed, "the worker's own /tmp"
    assert listed.strip().endswith("/opt/ml/model")
    assert run_line(api, f"seatrial trial shell shelled --data {api.server.data} -- sh -c 'exit 7'").returncode == 7
    unknown = api.server.cli("trial", "shell", "nobody", "--data", str(api.server.data), check=False)
    assert unknown.returncode == 4
    assert "shelled --version 1" in unknown.stderr, "those that are kept"


def test_a_worker_that_went_away_and_one_that_never_answered(api):
    _, endpoint = fails(api, "leaves", ECHO.replace("return data", "os._exit(5)"))
    assert run_line(api, printed_line(endpoint)).returncode == 5
    _, endpoint = fails(api, "hangs", ECHO.replace("return data", "any(iter(int, 1))"), invocation_timeout_seconds=1)
    hung = run_line(api, printed_line(endpoint))
    assert hung.returncode == 1
    assert 'inference.py", line 7 in transform_fn' in hung.stderr, "where it hangs"


def test_a_model_that_does_not_load(api):
    _, endpoint = fails(api, "loads-not", ECHO.replace("return None", "open('/no/such/weights')"))
    again = run_line(api, printed_line(endpoint))
    assert again.returncode == 1
    assert "No such file or directory: '/no/such/weights'" in again.stderr


def test_an_answer_that_was_refused_is_kept(api):
    handler = ECHO.replace("return data, accept", """return '{"status": "error", "error": "no GPU"}', accept""")
    stage, endpoint = fails(api, "soft", handler)
    (answer,) = Path(stage["details"]["remains"]["folder"]).glob("workers/answer-*/result")
    assert answer.read_text() == '{"status": "error", "error": "no GPU"}'
    assert printed_line(endpoint) == stage["details"]["by_hand"], "its answer alone shows the failure"
    again = run_line(api, printed_line(endpoint))
    assert again.stdout.strip() == '{"status": "error", "error": "no GPU"}'
    assert again.returncode == 1
    assert "This very answer is the failure: no GPU" in again.stderr
    assert "set soft_failures = false" in again.stderr


def test_an_answer_that_breaks_its_contract_is_tried_again_with_the_server(api):
    """By hand nothing is held against the contract: there the handler answers, and the trial has to say the rest."""
    manifest = """
    [package]
    task_field = "task"

    [tasks.rooms.input.text]
    type = "string"

    [tasks.rooms.output]
    media_type = "application/json"
    schema = { type = "object", required = ["rooms"] }
    soft_failures = false

    [[tasks.rooms.samples]]
    input = "samples/a.json"
    """
    handler = ECHO.replace("return data, accept", """return '{"status": "error"}', 'application/json'""")
    files = {"code/inference.py": handler, "samples/a.json": '{"text": "ahoy"}', "seatrial.toml": manifest}
    endpoint = api.deploy("breaks", files)
    assert printed_line(endpoint) == "seatrial trial rerun breaks --from prove"
    again = run_line(api, endpoint["versions"][-1]["stages"][-1]["details"]["by_hand"])
    assert again.returncode == 0, "such words are results here"
    assert "came afterwards" in again.stderr


def test_what_a_trial_and_its_workers_wrote(api):
    fails(api, "told", RAISES)
    whole = api.server.cli("trial", "logs", "told").stdout
    assert "trial: inspect passed" in whole
    assert "loaded from /opt/ml/model" in whole
    proving = api.server.cli("trial", "logs", "told", "--stage", "prove").stdout
    assert "the key is" in proving
    assert "loaded from" not in proving
    shown = api.server.cli("trial", "told").stdout
    assert "seatrial trial reproduce told --version 1" in shown
    assert str(api.server.data / "remains" / "told-1") in shown


def test_a_trial_goes_on_from_the_stage_that_failed(make_server, api_of):
    """The handler breaks when it has run often, as long as a file is there."""
    api = api_of(make_server("--drill-seconds", "0.2"))
    marker = Path("/dev/shm", f"seatrial-test-{uuid.uuid4()}")
    handler = f"""\
        import os
        runs = []

        def model_fn(model_dir):
            return None

        def transform_fn(model, data, content_type, accept):
            runs.append(1)
            if len(runs) > 6 and os.path.exists({str(marker)!r}):
                raise RuntimeError("too often")
            return data, accept
        """
    marker.touch()
    try:
        stage, endpoint = fails(api, "counts", handler)
        assert stage["stage"] == "drill"
        assert printed_line(endpoint) == "seatrial trial rerun counts --from drill"
        assert run_line(api, "seatrial trial rerun counts").returncode == 1, "it fails again"
    finally:
        marker.unlink()
    proved = stages_of(api.endpoint("counts"))["prove"]["details"]["samples"]
    assert run_line(api, printed_line(endpoint)).returncode == 0
    endpoint = api.endpoint("counts")
    assert endpoint["status"] == "InService"
    stages = stages_of(endpoint)
    assert stages["prove"]["details"]["samples"] == proved, "shown before, and taken over"
    assert [name for name, one in stages.items() if one["details"].get("taken_over")] == ["prove", "refuse"]
    assert not (api.server.data / "remains" / "counts-1").exists(), "nothing to debug any more"
    refused = api.server.cli("trial", "rerun", "counts", check=False)
    assert refused.returncode == 1
    assert "nothing_failed" in refused.stderr
