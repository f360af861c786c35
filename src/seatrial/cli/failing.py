"""How commands fail: one line with the remedy on standard error, and an exit code that scripts can use."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import NoReturn

import typer


class ExitCode(IntEnum):
    """What `$?` says; documented in docs/reference/cli.md."""

    OK = 0
    FAILED = 1  # the thing itself failed: a job, a trial, a check
    USAGE = 2
    UNREACHABLE = 3  # no server answers
    NOT_PROVABLE = 3  # of a check: this machine cannot tell
    NOT_FOUND = 4  # no such endpoint, job or task
    INTERRUPTED = 130


def fail(message: str, code: ExitCode = ExitCode.FAILED, remedy: str | None = None) -> NoReturn:
    """End the command."""
    print(f"seatrial: {message}", file=sys.stderr)
    if remedy:
        print(f"  remedy: {remedy}", file=sys.stderr)
    raise typer.Exit(int(code))
