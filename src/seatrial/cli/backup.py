"""`seatrial backup`: a copy of a running server."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import DataOption, JsonOption, example
from seatrial.cli.screen import bytes_bar, note, print_json
from seatrial.cli.server import connect

BEGIN_SECONDS = 3_600.0  # a database is copied before the first byte comes


app = typer.Typer(add_completion=False)


@app.command("backup", epilog=example("seatrial backup seatrial.tar --data seatrial-data"))
def backup(
    dest: Annotated[
        str, typer.Argument(help="File to write, or a folder (one to be made ends in /) for a file named by the time.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Copy a running server: jobs, objects, packages, weights and keys of one moment, while it goes on serving.

    The file holds the owner's keys; only you can read it. `seatrial restore` makes a data folder of it.
    """
    target = _target(dest)
    if target.exists() and not force:
        fail(f"{target} is there already", ExitCode.USAGE, "another name, or --force")
    started = time.monotonic()
    with _draft_of(target) as file:
        connect(data).download("/v1/backup", file, BEGIN_SECONDS, lambda size: bytes_bar(f"backup {target}", size))
        size_bytes = file.tell()
    seconds = round(time.monotonic() - started, 1)
    if json:
        print_json({"file": str(target), "bytes": size_bytes, "seconds": seconds})
    else:
        note(f"wrote {target} ({size_bytes:,} bytes in {seconds} s)")


def _target(dest: str) -> Path:
    """The file, in a folder that is there."""
    path = Path(dest)
    if dest.endswith("/"):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fail(f"{path} cannot be made: {error.strerror}")
    return path / time.strftime("seatrial-%Y%m%dT%H%M%SZ.tar", time.gmtime()) if path.is_dir() else path


@contextmanager
def _draft_of(target: Path) -> Iterator[BinaryIO]:
    """A file beside the target that becomes it once it is whole and on disk; otherwise nothing is left."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
        flush_folder(target.parent)
    except OSError as error:
        fail(f"{target} cannot be written: {error.strerror or error}")
    finally:
        draft.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Put a folder's entries on disk.

    Raises:
        OSError: it cannot be read or flushed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
