"""`seatrial trial run`: the whole trial of a package on this machine, without a server."""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seatrial.cli.deploy import PAIR, SECRET, archive_of, pairs
from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import JsonOption
from seatrial.cli.screen import note, print_json
from seatrial.cli.trial import trial_board
from seatrial.cli.trial_cases import cases

if TYPE_CHECKING:
    from seatrial.wiring.alone import Ended

LOG_LINES_SHOWN = 40
NAME_CHARS_MAX = 63


def run(
    package: Annotated[Path, typer.Argument(help="A directory, or a .tar.gz.")],
    samples: Annotated[
        Path | None,
        typer.Option(help="A folder with samples that the package does not have.", show_default=False),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write JUnit XML here: a case for each stage and check.", show_default=False)
    ] = None,
    max_minutes: Annotated[
        int | None,
        typer.Option(min=1, help="Bound of the trial: what does not fit is left out and named.", show_default=False),
    ] = None,
    drill_seconds: Annotated[
        float | None,
        typer.Option(min=0, help="How long the drill repeats its runs; 0 leaves it out.", show_default=False),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder of a trial that failed, to debug it.")] = False,
    unproven: Annotated[bool, typer.Option("--unproven", help="Go on although tasks have no sample.")] = False,
    env: Annotated[
        list[str] | None, typer.Option("--env", help="NAME=VALUE for the workers; may be given often.")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", help="NAME=env:VARIABLE or NAME=file:NAME of your own; may be given often."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run the whole trial of a package here, without a server: real queue, storage and publication in an own folder.

    Exit code 1 when it fails, 3 when this machine cannot tell (a GPU that it lacks).
    """
    _check(package, samples, junit)
    said = {"trial_minutes_max": max_minutes, "unproven": unproven or None, "drill_seconds": drill_seconds}
    given: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    given["env"] = pairs("--env", env or [], "NAME=VALUE", PAIR)
    given["secrets"] = pairs("--secret", secret or [], "NAME=env:VARIABLE or NAME=file:NAME", SECRET)
    began = time.monotonic()
    with _data_folder() as data:
        ended = _trial(data, package, samples, given, keep)
        if ended.passed or not keep:
            shutil.rmtree(data, ignore_errors=True)
    if junit is not None:
        _write_junit(junit, package, ended)
    seconds = time.monotonic() - began
    if json:
        kept = str(data) if data.exists() else None
        outcome = {"package": str(package), "passed": ended.passed, "seconds": round(seconds, 1)}
        print_json(outcome | {"failure_reason": ended.reason, "kept": kept, "stages": ended.stages})
    _end(package, ended, seconds, quiet=json)


@contextmanager
def _data_folder() -> Iterator[Path]:
    """A folder of its own, gone at the end unless it is to be kept; in any case when this is interrupted."""
    data = Path(tempfile.mkdtemp(prefix="seatrial-trial-"))
    try:
        yield data
    except BaseException:
        shutil.rmtree(data, ignore_errors=True)
        raise


def _trial(data: Path, package: Path, samples: Path | None, given: dict[str, Any], keep: bool) -> Ended:
    import asyncio

    import uvloop

    from seatrial.cli.serve import set_up_logs
    from seatrial.config import Settings
    from seatrial.wiring.alone import Asked, run_alone
    from seatrial.wiring.parts import StartError

    seconds = given.pop("drill_seconds", None)
    drill = {} if seconds is None else {"drill_seconds": seconds}
    settings = Settings(data=data, database=None, objects=None, log_level="error", **drill)
    set_up_logs(settings)
    again = shlex.join(["seatrial", "trial", "run", str(package), "--keep"])
    board, live = trial_board()
    with archive_of(package) as archive, live:
        asked = Asked(_name(package), archive, package.resolve().name, again, keep, given, samples)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(run_alone(settings, asked, board.show))
        except (KeyboardInterrupt, asyncio.CancelledError):
            shutil.rmtree(data, ignore_errors=True)
            note("interrupted: its processes have ended, and its folder is gone")
            raise typer.Exit(int(ExitCode.INTERRUPTED)) from None
        except (StartError, OSError) as error:
            fail(f"the trial cannot begin: {error}")


def _name(package: Path) -> str:
    """An endpoint's name after the package."""
    stem = package.resolve().name.partition(".")[0]
    return re.sub(r"[^a-zA-Z0-9]+", "-", stem).strip("-")[:NAME_CHARS_MAX].strip("-") or "package"


def _write_junit(file: Path, package: Path, ended: Ended) -> None:
    from seatrial.prove.junit import junit_xml

    try:
        file.write_bytes(junit_xml(f"seatrial trial {package.resolve().name}", cases(ended.stages)))
    except OSError as error:
        fail(f"--junit {file} cannot be written: {error.strerror}")


def _end(package: Path, ended: Ended, seconds: float, quiet: bool) -> None:
    if ended.passed:
        if not quiet:
            print(f"{package} passed its trial in {seconds:.1f} s")
        return
    lines = [line for line in ended.logs if " trial/" not in line[:40]]  # what the trial itself said was shown
    if lines:
        note(f"the last of {len(lines)} lines that its workers wrote:")
        for line in lines[-LOG_LINES_SHOWN:]:
            note(f"  {line}")
    errors = {one["details"].get("error") for one in ended.stages if one["state"] == "failed"}
    code = ExitCode.NOT_PROVABLE if "device_unavailable" in errors else ExitCode.FAILED
    fail(f"{package} failed its trial: {ended.reason}", code)


def _check(package: Path, samples: Path | None, junit: Path | None) -> None:
    if not package.exists():
        fail(f"{package}: no such file or folder", ExitCode.USAGE, "Give a directory or a .tar.gz.")
    if samples is not None and not samples.is_dir():
        fail(f"--samples {samples}: no such folder", ExitCode.USAGE, "TASK/NAME.json files, each one request body")
    if junit is not None and not junit.resolve().parent.is_dir():
        fail(f"--junit {junit}: there is no folder {junit.resolve().parent}", ExitCode.USAGE)
