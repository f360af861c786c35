"""`seatrial lambda worker`: an unmodified Lambda runtime, here or on any machine, pulls an endpoint's jobs."""

from __future__ import annotations

import asyncio
import json as json_text
import os
import signal
import socket
import time
from asyncio.subprocess import Process
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.local_web import HOST, bound, interrupted, serving
from seatrial.cli.options import DataOption, JsonOption
from seatrial.cli.screen import note
from seatrial.cli.server import Refused, Server, connect, end

if TYPE_CHECKING:
    from seatrial.cli.lambda_relay import Relay

STOP_GRACE_SECONDS = 5.0
STEADY_SECONDS = 10.0  # a runtime that lived for so long is started again at once
RESTART_SECONDS_MIN, RESTART_SECONDS_MAX = 0.25, 60.0


def worker(
    name: Annotated[str, typer.Argument(help="The endpoint whose jobs it pulls.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(
            help="The runtime, after `--`: python -m awslambdaric app.handler. Without one only the Runtime API is "
            "served, for a runtime that is started elsewhere.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(help="Port of the Runtime API, on loopback; 0 takes any that is free.", min=0, max=65535)
    ] = 0,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Serve Lambda's Runtime API on loopback and run a runtime against it, until interrupted.

    A runtime that is to stop with a job (cancelled, or out of time) is killed and started again. One that cannot
    start ends the command.
    """
    server = connect(data)
    worker_id = f"{socket.gethostname()[:60]}-{os.getpid()}"
    _check_in(server, name, worker_id)
    listener = bound(port)
    address = f"{HOST}:{listener.getsockname()[1]}"
    if json:
        print(json_text.dumps({"runtime_api": address, "worker": worker_id, "pid": os.getpid()}), flush=True)
    else:
        print(f"AWS_LAMBDA_RUNTIME_API={address}", flush=True)
        note(f"worker {worker_id} pulls jobs of {name} from {server.url}")
    problem = asyncio.run(_serve(server.url, server.api_key, name, worker_id, listener, command or []))
    if problem:
        fail(problem, ExitCode.FAILED, "run the same command by hand; `seatrial logs` has what the runtime said")


def _check_in(server: Server, name: str, worker_id: str) -> None:
    """End the command unless the endpoint is there and the key may work for it; it may do nothing else."""
    answer = server.call("POST", f"/v1/endpoints/{quote(name, safe='')}/lambda/{worker_id}/ping")
    if answer.is_error:
        said = answer.json()
        end(Refused(answer.status_code, {"error_type": said["errorType"], "detail": said["errorMessage"]}), {})


async def _serve(
    url: str, api_key: str, name: str, worker_id: str, listener: socket.socket, command: list[str]
) -> str | None:
    """Until a signal ends it (None), or with what is in the way."""
    from seatrial.cli.lambda_relay import Relay

    relay = Relay(url, api_key, name, worker_id)
    ends: list[Coroutine[Any, Any, str | None]] = [interrupted(), _refused(relay), relay.look_after()]
    if command:
        environment = _environment(name, worker_id, f"{HOST}:{listener.getsockname()[1]}")
        ends.append(_supervise(relay, command, environment))
    async with serving(relay.app, listener):
        tasks = {asyncio.ensure_future(one) for one in ends}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next((one.result() for one in done if one.result()), None)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(relay.gone(), STOP_GRACE_SECONDS)
            await relay.close()


async def _refused(relay: Relay) -> str:
    return str(await relay.refused)


async def _supervise(relay: Relay, command: list[str], environment: dict[str, str]) -> str:
    """Keep the runtime running; what is in the way if it cannot start."""
    pause = RESTART_SECONDS_MIN
    while True:
        relay.asked.clear()
        began = time.monotonic()
        try:
            process = await asyncio.create_subprocess_exec(*command, env=environment, start_new_session=True)
        except OSError as error:
            said = f"{command[0]} cannot be run: {error.strerror}"
            await relay.could_not_start("Runtime.InvalidEntrypoint", said)
            return f"Runtime.InvalidEntrypoint: {said}"
        try:
            stopped = await _ended_or_stopped(relay, process)
        finally:
            await _end(process)
        await relay.gone()
        if stopped:
            continue
        if not relay.asked.is_set():
            said = relay.init_error or "it asked for no work; what it printed is above"
            if relay.init_error is None:
                ended = f"the command ended (exit code {process.returncode}) without asking for work"
                await relay.could_not_start("Runtime.ExitError", ended)
            return f"the runtime could not start (exit code {process.returncode}): {said}"
        if time.monotonic() - began > STEADY_SECONDS:
            pause = RESTART_SECONDS_MIN
        note(f"the runtime ended (exit code {process.returncode}); it is started again in {pause:g} s")
        await asyncio.sleep(pause)
        pause = min(pause * 2, RESTART_SECONDS_MAX)


async def _ended_or_stopped(relay: Relay, process: Process) -> bool:
    """True: it is to be stopped."""
    ended, stop = asyncio.create_task(process.wait()), asyncio.create_task(relay.stop.wait())
    try:
        await asyncio.wait({ended, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.cancel()
        stop.cancel()
    if relay.stop.is_set():
        relay.stop.clear()
        _signal(process, signal.SIGKILL)
        return True
    return False


async def _end(process: Process) -> None:
    """It, and what it has started in its process group."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_GRACE_SECONDS)
    _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: Process, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _environment(name: str, worker_id: str, address: str) -> dict[str, str]:
    """Our own without the key of the server, and what AWS sets, where nothing else is said."""
    ours = {key: value for key, value in os.environ.items() if key != "SEATRIAL_API_KEY"}
    usual = {
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "10240",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": worker_id,
        "LAMBDA_TASK_ROOT": str(Path.cwd()),
    }
    return {**usual, **ours, "AWS_LAMBDA_RUNTIME_API": address}
