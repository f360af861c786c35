"""`seatrial version`."""

from __future__ import annotations

import typer

from seatrial.cli.options import JsonOption, example
from seatrial.cli.screen import print_json

app = typer.Typer(add_completion=False)


@app.command("version", epilog=example("seatrial version --json"))
def version(json: JsonOption = False) -> None:
    """Print the version."""
    from seatrial import __version__

    if json:
        print_json({"version": __version__})
    else:
        print(f"seatrial {__version__}")
