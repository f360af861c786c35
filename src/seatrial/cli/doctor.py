"""`seatrial doctor`: is this machine fit to serve?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from seatrial.cli.failing import ExitCode
from seatrial.cli.options import DataOption, JsonOption, example
from seatrial.cli.screen import print_json, print_table
from seatrial.cli.server import data_folder

app = typer.Typer(add_completion=False)


@app.command("doctor", epilog=example("seatrial doctor --data seatrial-data"))
def doctor(
    data: DataOption = None,
    host: Annotated[str, typer.Option(help="Where a server would listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Where a server would listen.", min=0, max=65_535)] = 8400,
    json: JsonOption = False,
) -> None:
    """Check the machine: ok, warn or fail, each with a remedy. Exit code 1 when something fails."""
    from seatrial.cli.checks import CHECKS, Level, Machine

    machine = Machine(data_folder(data), host, port)
    checks = [check(machine) for check in CHECKS]
    if json:
        print_json([asdict(check) for check in checks])
    else:
        rows = [(check.level, check.name, check.message, check.remedy) for check in checks]
        print_table(["", "check", "found", "remedy"], rows, "")
    if any(check.level is Level.FAIL for check in checks):
        raise typer.Exit(int(ExitCode.FAILED))
