"""`seatrial`: every command, registered in one place. A call imports the file of its own command only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from seatrial.cli.options import example

# name: the file below seatrial.cli whose `app` it is. In the order of the help.
COMMANDS = {
    "init": "init",
    "serve": "serve",
    "env": "env",
    "check": "check",
    "pack": "pack",
    "deploy": "deploy",
    "endpoints": "endpoints",
    "scale": "scale",
    "canary": "canary",
    "trial": "trial_commands",
    "describe": "describe",
    "invoke": "invoke",
    "jobs": "jobs",
    "triggers": "triggers",
    "webhooks": "webhooks",
    "deliveries": "deliveries",
    "keys": "keys",
    "lambda": "lambdas",
    "logs": "logs",
    "backup": "backup",
    "restore": "restore",
    "validate": "validate",
    "stress": "stress",
    "callbacks": "callbacks",
    "verify": "verify",
    "doctor": "doctor",
    "demo": "demo",
    "version": "version",
}


class _Commands(Mapping[str, Any]):
    """Every command by its name; its file is imported when it is looked up."""

    def __getitem__(self, name: str) -> Any:
        command = typer.main.get_command(import_module(f"seatrial.cli.{COMMANDS[name]}").app)
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Seatrial(TyperGroup):
    """The group of all commands."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.commands = _Commands()  # type: ignore[assignment]  # it is only read


app = typer.Typer(
    name="seatrial",
    cls=_Seatrial,
    help="An inference server for jobs that take seconds to hours: nothing serves unproven, no accepted job is lost.",
    epilog=example('seatrial serve, then in another shell: eval "$(seatrial env)"'),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@app.callback()
def _seatrial() -> None:
    """Say what all commands have in common: nothing yet."""


def main() -> None:
    """Run the command line."""
    app()
