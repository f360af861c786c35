"""`seatrial trial rerun`: the trial of a version that failed, again."""

from __future__ import annotations

from typing import Annotated

import typer

from seatrial.cli.deploy import report
from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import DataOption, JsonOption
from seatrial.cli.screen import print_json
from seatrial.cli.server import connect
from seatrial.cli.trial import STAGES, watch_trial


def rerun(
    name: Annotated[str, typer.Argument(help="The endpoint.")],
    since: Annotated[
        str | None,
        typer.Option("--from", help=f"{', '.join(STAGES)}; otherwise the stage that failed.", show_default=False),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Watch the trial to its end.")] = True,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Run a failed trial of the newest version again. The endpoint is in service once it passes; exit code 1 if not.

    Stages up to load always run: a model has to be loaded. What prove and refuse have shown before is taken over when
    a later stage is named and the environment is still the same.
    """
    if since is not None and since not in STAGES:
        fail(f"there is no stage {since!r}", ExitCode.USAGE, ", ".join(STAGES))
    server = connect(data)
    said = {} if since is None else {"from": since}
    endpoint = server.call("POST", f"/v1/endpoints/{name}/trial/rerun", json=said).json()
    if wait:
        endpoint = watch_trial(server, endpoint)
    if json:
        print_json(endpoint)
    if wait:
        report(endpoint, quiet=json)
    elif not json:
        print(f"{name} is {endpoint['status']}; `seatrial trial {name}` shows how far it is")
