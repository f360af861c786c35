"""Files that a command writes its report to."""

from __future__ import annotations

import os
from pathlib import Path

from seatrial.cli.failing import ExitCode, fail


def check_writable(*paths: Path | None) -> None:
    """End the command before it has begun, if its report could not be written afterwards; None is no path."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            fail(f"{path} is a folder", ExitCode.USAGE, "name a file in it")
        if not path.parent.is_dir():
            fail(f"{path} cannot be written: there is no folder {path.parent}", ExitCode.USAGE, "make it first")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            fail(f"{path} cannot be written: permission denied", ExitCode.USAGE)
