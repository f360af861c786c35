"""`seatrial version`."""

from __future__ import annotations

from seatrial.cli.options import JsonOption
from seatrial.cli.screen import print_json


def version(json: JsonOption = False) -> None:
    """Print the version."""
    from seatrial import __version__

    if json:
        print_json({"version": __version__})
    else:
        print(f"seatrial {__version__}")
