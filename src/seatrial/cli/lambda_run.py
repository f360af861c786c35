"""`seatrial lambda run`: a function on this machine, invoked as Lambda's runtime interface emulator has it."""

from __future__ import annotations

import asyncio
import json as json_text
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seatrial.cli.deploy import PAIR, pairs
from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.local_web import HOST, bound, interrupted, serving_beside
from seatrial.cli.options import JsonOption
from seatrial.cli.screen import note
from seatrial.domain.limits import INVOCATION_TIMEOUT_SECONDS_MAX, MIB

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from seatrial.cli.lambda_front import Front

FUNCTION = "function"
MANIFEST = "seatrial.toml"
TIMEOUT_SECONDS = 300  # the emulator's own default


def run(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The function's folder.")],
    handler: Annotated[
        str | None,
        typer.Argument(
            metavar="MODULE.FUNCTION",
            help="Otherwise what seatrial.toml says, or lambda_function.lambda_handler.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(help="Port to listen at, on loopback; 0 takes any that is free.", min=0, max=65535)
    ] = 9000,
    timeout_seconds: Annotated[
        int,
        typer.Option(
            help="How long an invocation may run.",
            envvar="AWS_LAMBDA_FUNCTION_TIMEOUT",
            min=1,
            max=INVOCATION_TIMEOUT_SECONDS_MAX,
        ),
    ] = TIMEOUT_SECONDS,
    memory_mb: Annotated[
        int | None,
        typer.Option(
            help="Memory of the function, enforced.",
            envvar="AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            min=16,
            show_default=False,
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Invocations at once; others wait.", min=1, max=64)] = 1,
    env: Annotated[
        list[str] | None, typer.Option("--env", help="NAME=VALUE for the function; may be given often.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run a Lambda function here, until interrupted, and print its log.

    Invoke it with curl at /2015-03-31/functions/function/invocations, or with any client of AWS Lambda whose endpoint
    URL is this one. The port is open at once: what comes before the function's trial has passed waits for it, and is
    answered 502 with the reason if it fails. A second invocation waits for the first, an Event is answered 202, a
    timeout is an error.
    """
    settings: dict[str, Any] = {
        "workers": workers,
        "unproven": True,
        "invocation_timeout_seconds": timeout_seconds,
        "env": pairs("--env", env or [], "NAME=VALUE", PAIR),
        **({"memory_bytes_max": memory_mb * MIB} if memory_mb else {}),
    }
    listener = bound(port)
    try:
        with tempfile.TemporaryDirectory(prefix="seatrial-lambda-", ignore_cleanup_errors=True) as folder:
            _run(_packed(directory, handler, Path(folder)), Path(folder), settings, listener, json)
    except KeyboardInterrupt:
        fail("interrupted; the function has ended", ExitCode.INTERRUPTED)


def _run(package: Path, folder: Path, settings: dict[str, Any], listener: socket.socket, as_json: bool) -> None:
    from seatrial.cli.lambda_front import Front

    front = Front(FUNCTION)
    with serving_beside(front.app, listener, front.close):
        try:
            _serve(front, package, folder, settings, listener.getsockname()[1], as_json)
        finally:
            front.refuse("the command has ended before the function could run")
    note("the function has ended")


def _serve(front: Front, package: Path, folder: Path, settings: dict[str, Any], port: int, as_json: bool) -> None:
    """Try the function on a server of its own, then let what waits at the port in, until interrupted."""
    from seatrial.cli.children import running_server
    from seatrial.cli.deploy import report, send_package
    from seatrial.cli.server import connect
    from seatrial.cli.trial import passed, watch_trial

    url = f"http://{HOST}:{port}/2015-03-31/functions/{FUNCTION}/invocations"
    note(f"what comes to {url} waits until the function's trial has ended")
    with running_server(folder / "data") as variables:
        server = connect(folder / "data")
        endpoint = watch_trial(server, send_package(server, str(package), FUNCTION, settings, update=True))
        if not passed(endpoint):
            # its server ends with this command, and no line runs the trial there again
            endpoint["failure_reason"] = endpoint["failure_reason"].partition(" Reproduce: ")[0]
            front.refuse(f"the function cannot start: {endpoint['failure_reason']}")
        report(endpoint, quiet=True)
        front.open(variables)
        if as_json:
            print(json_text.dumps({"url": url, "pid": os.getpid()}), flush=True)
        else:
            print(f"Invoke it: curl {url} -d '{{}}'", flush=True)
        asyncio.run(_until_interrupted(variables))


async def _until_interrupted(variables: Mapping[str, str]) -> None:
    printing = asyncio.create_task(_print_log(variables))
    try:
        await interrupted()
    finally:
        printing.cancel()
        await asyncio.gather(printing, return_exceptions=True)


async def _print_log(variables: Mapping[str, str]) -> None:
    """What the function writes, as it comes, on standard error."""
    import httpx

    key = {"Authorization": f"Bearer {variables['SEATRIAL_API_KEY']}"}
    path = f"{variables['SEATRIAL_URL']}/v1/endpoints/{FUNCTION}/logs"
    with suppress(httpx.HTTPError):
        async with (
            httpx.AsyncClient(headers=key, timeout=None, trust_env=False) as client,  # noqa: S113  it goes on for ever
            client.stream("GET", path, params={"follow": "true", "since": "1h"}) as answer,
        ):
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    print(json_text.loads(line.removeprefix("data: "))["text"], file=sys.stderr, flush=True)


# ---------------------------------------------------------------- the package


def _packed(directory: Path, handler: str | None, folder: Path) -> Path:
    """The folder as a package; one that has no manifest gets one that names the handler."""
    from seatrial.domain.errors import Unproven
    from seatrial.package.pack import pack

    if not directory.is_dir():
        fail(f"{directory} is no folder", ExitCode.USAGE)
    added = {}
    if handler is not None:
        _check_handler(directory, handler)
    if handler is not None and not (directory / MANIFEST).is_file():
        manifest = folder / MANIFEST
        manifest.write_text(f'[package]\nlayout = "aws_lambda"\nhandler = {json_text.dumps(handler)}\n')
        added[MANIFEST] = manifest
    package = folder / "function.tar.gz"
    try:
        pack(directory, package, added)
    except Unproven as error:
        fail(error.message, remedy=error.details.get("remedy"))
    return package


def _check_handler(directory: Path, handler: str) -> None:
    """It has the form of one, and a manifest that is there says nothing else."""
    import re
    import tomllib

    from seatrial.package.layout import HANDLER_FORMS

    pattern, valid = HANDLER_FORMS["aws_lambda"]
    if re.fullmatch(pattern, handler) is None:
        fail(f"{handler!r} is no handler", ExitCode.USAGE, f"it is of the form {valid}")
    if not (directory / MANIFEST).is_file():
        return
    try:
        said = tomllib.loads((directory / MANIFEST).read_text(encoding="utf-8")).get("package", {})
    except tomllib.TOMLDecodeError as error:
        fail(f"{directory / MANIFEST} is not TOML: {error}", ExitCode.USAGE)
    if (said.get("layout"), said.get("handler")) != ("aws_lambda", handler):
        remedy = f'write layout = "aws_lambda" and handler = "{handler}" there'
        fail(f"{directory / MANIFEST} names another layout or handler", ExitCode.USAGE, remedy)
