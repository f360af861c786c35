"""`seatrial lambda run`: what the runtime interface emulator offers, and what it lacks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from tests import forks

FUNCTION = """
    import os, socket, time


    def handler(event, context):
        print("at work")
        if "port" in event:
            with socket.create_connection(("127.0.0.1", event["port"])) as gate:
                gate.makefile().read()
        if event.get("do") == "sleep":
            time.sleep(600)
        return {"name": event["name"], "memory": context.memory_limit_in_mb, "word": os.environ["WORD"]}
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The URL of the invocations of a function that was started from a bare folder."""
    folder = tmp_path_factory.mktemp("function")
    (folder / "app.py").write_text(textwrap.dedent(FUNCTION))
    command = ["lambda", "run", folder, "app.handler", "--port", 0, "--json"]
    log = folder.parent / "stderr"
    with log.open("w") as stderr:
        process = forks.start(
            *command, "--timeout-seconds", 2, "--memory-mb", 512, "--env", "WORD=ahoy",
            stderr=stderr.fileno(), env={**os.environ, "TMPDIR": str(folder.parent)},
        )  # fmt: skip
    try:
        line = process.stdout.readline() if process.stdout else ""
        assert line, log.read_text()
        yield json.loads(line)["url"], log
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert not list(folder.parent.glob("seatrial-lambda-*")), "nothing is left behind"


def test_curl(emulator: Any) -> None:
    url, _ = emulator
    command = ["curl", "-sS", url, "-d", '{"name": "n"}']
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == {"name": "n", "memory": "512", "word": "ahoy"}
    empty = httpx.post(url, content=b"{}", trust_env=False, timeout=60)
    assert empty.status_code == 200
    assert empty.headers["x-amz-function-error"] == "Unhandled"
    assert (empty.json()["errorType"], empty.json()["errorMessage"]) == ("KeyError", "'name'")
    broken = httpx.post(url, content=b"{", trust_env=False, timeout=60)
    assert broken.status_code == 400
    assert broken.json()["Message"].startswith("Could not parse request body into json")


def test_an_event_and_a_queue(emulator: Any, gate: Any) -> None:
    url, _ = emulator
    kind = {"X-Amz-Invocation-Type": "Event"}
    first = httpx.post(url, json={"name": "a", "port": gate.port}, headers=kind, trust_env=False, timeout=60)
    assert (first.status_code, first.content) == (202, b"")
    gate.reached()
    second = httpx.post(url, json={"name": "b"}, headers=kind, trust_env=False, timeout=60)
    assert second.status_code == 202
    gate.open()
    assert httpx.post(url, json={"name": "c"}, trust_env=False, timeout=60).json()["name"] == "c"


def test_a_timeout_is_an_error_and_the_log_is_printed(emulator: Any) -> None:
    url, log = emulator
    client = boto3.client(
        "lambda", endpoint_url=url.partition("/2015")[0], region_name="us-east-1", aws_access_key_id="any",
        aws_secret_access_key="any",
    )  # fmt: skip
    answer = client.invoke(FunctionName="function", Payload=b'{"do": "sleep"}', LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorMessage"].endswith("Task timed out after 2.00 seconds")
    assert "at work" in log.read_text()
    assert "START RequestId: " in log.read_text()


def test_a_function_that_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise RuntimeError('no lights')\ndef handler(event, context): ...\n")
    done = forks.run("lambda", "run", tmp_path, "app.handler", "--port", 0)
    assert done.returncode == 1
    assert "RuntimeError: no lights" in done.stderr
    assert "Reproduce:" not in done.stderr  # its server is gone


@pytest.mark.parametrize("starts", [True, False])
def test_what_comes_during_the_trial_waits_and_is_answered(tmp_path: Path, gate: Any, starts: bool) -> None:
    """As at the emulator, whose first invocation waits for the function's start, or is told why there is none."""
    lines = ["import contextlib, socket", "with contextlib.suppress(ConnectionRefusedError):"]
    lines += [f"    socket.create_connection(('127.0.0.1', {gate.port})).makefile().read()"]
    lines += ["" if starts else "raise RuntimeError('no lights')", "def handler(event, context):"]
    lines += ["    return {'came': event}", ""]
    function, log = tmp_path / "function", tmp_path / "stderr"
    function.mkdir()
    (function / "app.py").write_text("\n".join(lines))
    with log.open("w") as stderr:
        process = forks.start("lambda", "run", function, "app.handler", "--port", 0, stderr=stderr.fileno())
    try:
        gate.reached()
        (url,) = re.findall(r"http://\S+/invocations", log.read_text())
        with subprocess.Popen(["curl", "-sS", url, "-d", "7"], stdout=subprocess.PIPE, text=True) as waiting:
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(1)
            gate.close()  # for every later start too
            said = json.loads(waiting.communicate(timeout=120)[0])
        if not starts:  # it ends by itself
            process.communicate(timeout=60)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    if starts:
        assert said == {"came": 7}
    else:
        assert said["errorType"] == "Runtime.InitError"
        assert "no lights" in said["errorMessage"]
    assert process.returncode == (0 if starts else 1)
