"""`seatrial trial`: what the trial of an endpoint found. Without a subcommand it shows."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from seatrial.cli.endpoints import stage_row, state
from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import DataOption, JsonOption, example
from seatrial.cli.screen import print_facts, print_json, print_table
from seatrial.cli.server import connect

NameArgument = Annotated[str, typer.Argument(help="The endpoint.")]
VersionOption = Annotated[
    int | None, typer.Option("--version", help="The number of a version; otherwise the newest.", show_default=False)
]


class ShowsByDefault(TyperGroup):
    """`seatrial trial NAME` is `seatrial trial show NAME`; an endpoint named like a subcommand needs the long form."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `show` before what is no subcommand."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=ShowsByDefault,
    no_args_is_help=True,
    help="Look at the trial of an endpoint: `seatrial trial NAME` shows it.",
    epilog=example("seatrial trial floorplan"),
)


@app.command("show", epilog=example("seatrial trial show floorplan --version 2"))
def show(name: NameArgument, number: VersionOption = None, data: DataOption = None, json: JsonOption = False) -> None:
    """Show the stages of a version's trial, how long each took, and what it said."""
    endpoint = connect(data).get(f"/v1/endpoints/{name}")
    version = version_of(endpoint, number)
    if json:
        print_json(version["stages"])
        return
    print_facts([("endpoint", name), ("status", state(endpoint)), ("version", version["number"])])
    print_table(["stage", "state", "seconds", "what"], [stage_row(one) for one in version["stages"]], "no trial yet")


def version_of(endpoint: dict[str, Any], number: int | None) -> dict[str, Any]:
    """The version of that number, else the newest; `endpoint` as the API shows it. None of it ends the command."""
    versions: list[dict[str, Any]] = endpoint["versions"]
    if number is None:
        return versions[-1]
    found = next((one for one in versions if one["number"] == number), None)
    if found is None:
        numbers = ", ".join(str(one["number"]) for one in versions)
        fail(f"there is no version {number} of {endpoint['name']!r}", ExitCode.NOT_FOUND, f"there are: {numbers}")
    return found
