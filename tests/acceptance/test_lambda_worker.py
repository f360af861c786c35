"""An unmodified `awslambdaric` process pulls jobs through `seatrial lambda worker`."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import forks

FUNCTION = """
    import os, socket, sys, time


    def handler(event, context):
        do = event.get("do")
        if do == "raise":
            raise ValueError("too dark")
        if do == "exit":
            os._exit(9)
        if do == "gate":
            with socket.create_connection(("127.0.0.1", event["port"])) as gate:
                gate.makefile().read()
        if do == "sleep":
            time.sleep(600)
        return {
            "by": "awslambdaric" in sys.modules, "id": context.aws_request_id, "pid": os.getpid(),
            "arn": context.invoked_function_arn, "left_ms": context.get_remaining_time_in_millis(),
            "custom": context.client_context and context.client_context.custom,
        }
"""
PACKAGE = {
    "app.py": FUNCTION,
    "seatrial.toml": '[package]\nlayout = "aws_lambda"\nhandler = "app.handler"\n',
    "samples/one.json": "{}",
}
Start = Callable[..., forks.Forked]


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that misses outside workers soon."""
    from tests.conftest import RunningServer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_OUTSIDE_LEASE_SECONDS", "8")  # the relay pings every 5 s
        server = RunningServer(tmp_path_factory.mktemp("lambda") / "data").start()
    yield server
    server.terminate()


@pytest.fixture
def start(api: Any, tmp_path: Path) -> Iterator[Start]:
    """A worker process of an endpoint `f`, which has no workers of its own."""
    if api.http.get("/v1/endpoints/f").status_code == 404:
        api.serve("f", PACKAGE, workers=0, invocation_timeout_seconds=60, cancel_grace_seconds=20)
    started: list[forks.Forked] = []

    def run(code: str = FUNCTION, handler: str = "app.handler", of: str = "f") -> forks.Forked:
        (tmp_path / "app.py").write_text(textwrap.dedent(code))
        theirs = [sys.executable, "-m", "awslambdaric", handler]
        process = forks.start("lambda", "worker", of, "--json", "--", *theirs, cwd=tmp_path, env=api.server.environment)
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.fixture
def functions(api: Any) -> Any:
    return api.server.client("lambda", retries={"max_attempts": 0}, read_timeout=75)


def invoke(functions: Any, event: Any, **given: Any) -> Any:
    answer = functions.invoke(FunctionName="f", Payload=json.dumps(event).encode(), **given)
    return json.loads(answer["Payload"].read() or "null"), answer


def test_a_runtime_pulls_and_answers(start: Start, functions: Any, api: Any) -> None:
    start()
    told, answer = invoke(functions, {}, ClientContext="eyJjdXN0b20iOiB7ImsiOiAxfX0=", LogType="Tail")
    assert told["by"]
    assert told["id"] == answer["ResponseMetadata"]["RequestId"]
    assert told["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert 50_000 < told["left_ms"] <= 60_000
    assert told["custom"] == {"k": 1}
    raised, answer = invoke(functions, {"do": "raise"})
    assert (answer["FunctionError"], raised["errorType"], raised["errorMessage"]) == (
        "Unhandled", "ValueError", "too dark",
    )  # fmt: skip
    assert any("in handler" in line for line in raised["stackTrace"])
    lines = [line for line in api.lines("f") if told["id"] in line]
    assert [line.split(" ")[0] for line in lines] == ["START", "END", "REPORT"]


def test_a_job_that_is_cancelled_ends_its_process(
    start: Start, functions: Any, api: Any, gate: Any, is_alive: Callable[[int], bool]
) -> None:
    start()
    before = invoke(functions, {})[0]["pid"]
    _, accepted = invoke(functions, {"do": "gate", "port": gate.port}, InvocationType="Event")
    gate.reached()
    job_id = accepted["ResponseMetadata"]["RequestId"]
    cancelled = api.http.post(f"/v1/jobs/{job_id}/cancel")
    assert cancelled.status_code < 300, cancelled.text
    job = api.ended(job_id)
    assert (job["status"], job["stop_confirmed"]) == ("cancelled", True)
    assert not is_alive(before)
    assert invoke(functions, {})[0]["pid"] != before


def test_a_job_that_runs_too_long_ends_its_process(
    start: Start, api: Any, gate: Any, is_alive: Callable[[int], bool]
) -> None:
    api.serve("hasty", PACKAGE, workers=0, invocation_timeout_seconds=1, cancel_grace_seconds=20)
    start(of="hasty")
    hasty = api.server.client("lambda", retries={"max_attempts": 0}, read_timeout=75)

    def call(event: Any) -> Any:
        return json.loads(hasty.invoke(FunctionName="hasty", Payload=json.dumps(event).encode())["Payload"].read())

    before = call({})["pid"]
    late = call({"do": "sleep"})
    assert late["errorType"] == "Sandbox.Timedout"
    assert late["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert not is_alive(before)
    assert call({})["pid"] != before


@pytest.mark.slow  # a lease must lapse
def test_a_machine_that_dies_is_missed_and_its_job_runs_again(
    start: Start, functions: Any, api: Any, gate: Any
) -> None:
    first = start()
    pid = invoke(functions, {})[0]["pid"]
    _, accepted = invoke(functions, {"do": "gate", "port": gate.port}, InvocationType="Event")
    gate.reached()
    first.kill()
    os.kill(pid, signal.SIGKILL)
    start()
    gate.reached()
    gate.open()
    job = api.ended(accepted["ResponseMetadata"]["RequestId"])
    assert (job["status"], job["attempt"], job["deaths"]) == ("succeeded", 2, 1)


def test_a_process_that_dies_is_replaced_and_its_job_fails_in_the_end(start: Start, functions: Any, api: Any) -> None:
    start()
    told, answer = invoke(functions, {"do": "exit"})
    assert told["errorType"] == "Runtime.ExitError"
    assert api.job(answer["ResponseMetadata"]["RequestId"])["attempt"] >= 2
    assert invoke(functions, {})[0]["by"]


def test_a_runtime_that_cannot_start_says_why(start: Start, api: Any) -> None:
    process = start("import nowhere_to_be_found\n")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Runtime.ImportModuleError" in said
    assert "No module named 'nowhere_to_be_found'" in said
    assert any("could not start: Runtime.ImportModuleError: Unable to import" in line for line in api.lines("f"))


@pytest.mark.parametrize(
    ("command", "word"), [(["no-such-entrypoint"], "Runtime.InvalidEntrypoint"), (["false"], "Runtime.ExitError")]
)
def test_a_command_that_is_no_runtime_is_told_in_its_place(
    start: Start, api: Any, tmp_path: Path, command: list[str], word: str
) -> None:
    done = forks.run("lambda", "worker", "f", "--", *command, cwd=tmp_path, env=api.server.environment)
    assert done.returncode == 1
    assert any(f"could not start: {word}: " in line for line in api.lines("f"))


def test_the_end_of_the_command_is_that_of_its_runtime(
    start: Start, functions: Any, is_alive: Callable[[int], bool]
) -> None:
    process = start()
    pid = invoke(functions, {})[0]["pid"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not is_alive(pid)


def test_nothing_is_handed_out_without_a_key(start: Start, api: Any) -> None:
    path = "/v1/endpoints/f/lambda/w/2018-06-01/runtime/invocation/next"
    assert httpx.get(api.server.url + path, trust_env=False).status_code == 401
