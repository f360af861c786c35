"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Data folder of the server to talk to. Otherwise SEATRIAL_URL with SEATRIAL_API_KEY, or SEATRIAL_DATA, "
        "or ./seatrial-data.",
        show_default=False,
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        help="The same key gives the same job, also from another command. Otherwise one is made for this command.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JUnitOption = Annotated[
    Path | None,
    typer.Option("--junit", metavar="OUT", help="Write JUnit XML to this file too.", show_default=False),
]


def _absolute(python: str | None) -> str | None:
    """A path is one of this folder; links are left as they are, since an environment's interpreter is one."""
    return str(Path.cwd() / python) if python is not None and "/" in python else python


PythonOption = Annotated[
    str | None,
    typer.Option(callback=_absolute, help="Base interpreter: a version or a path.", show_default=False),
]


def example(*lines: str) -> str:
    """An epilog that shows how a command is used."""
    return "\n\n".join(["Example:", *lines])
