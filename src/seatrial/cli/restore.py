"""`seatrial restore`: a data folder made of a backup."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from seatrial.cli.backup import flush_folder
from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import JsonOption, example
from seatrial.cli.screen import bytes_bar, note, print_json

if TYPE_CHECKING:
    from seatrial.adapters.sql.copies import NamedBlob

Advance = Callable[[int], None]
app = typer.Typer(add_completion=False)


@app.command("restore", epilog=example("seatrial restore seatrial.tar --data restored"))
def restore(
    source: Annotated[Path, typer.Argument(help="A file that `seatrial backup` wrote.", exists=True, dir_okay=False)],
    data: Annotated[Path, typer.Option(help="The new data folder; it must not be there, or be empty.")],
    json: JsonOption = False,
) -> None:
    """Make a data folder of a backup. A server started on it finishes the jobs that had not ended.

    Nothing of the time after the backup can mix with it: the copy begins a new life of its store.
    """
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        fail(f"{data} is there already", ExitCode.USAGE, "a folder that is not there yet, or an empty one")
    blobs = _restored(source, data)
    if json:
        print_json({"data": str(data), "objects": blobs})
    else:
        note(f"restored {data} ({blobs} object files); start it: seatrial serve --data {data}")


def _restored(source: Path, data: Path) -> int:
    """How many object files the folder has; it gets its name last."""
    import sqlite3
    import tempfile

    from seatrial.adapters.sql.backup import begin_new_life
    from seatrial.adapters.sql.copies import blobs_in
    from seatrial.engine.backup import DATABASE, Damaged, unpack

    try:
        data.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{data.name}.restoring-", dir=data.parent)).resolve()
    except OSError as error:
        fail(f"{data.parent} cannot be written: {error.strerror}")
    try:
        with source.open("rb") as file, bytes_bar(f"restore {source}", source.stat().st_size) as advance:
            unpack(_Counted(file, advance), draft)
        blobs = blobs_in(draft / DATABASE)
        _check_blobs(draft, blobs)
        begin_new_life(draft / DATABASE)
        with contextlib.suppress(FileNotFoundError):
            data.rmdir()
        draft.rename(data)
        flush_folder(data.parent)
    except (Damaged, sqlite3.Error) as error:
        fail(f"{source} cannot be restored: {error}")
    except OSError as error:
        fail(f"{data} cannot be restored: {error}")
    finally:
        _remove(draft)
    return len(blobs)


class _Counted:
    """A file that tells how far it was read."""

    def __init__(self, file: BinaryIO, advance: Advance) -> None:
        self._file = file
        self._advance = advance

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        content = self._file.read(size)
        self._advance(len(content))
        return content


def _check_blobs(folder: Path, blobs: list[NamedBlob]) -> None:
    """Every object's bytes are there and are what the database says that they are."""
    from seatrial.adapters.objects.blobs import blob_place
    from seatrial.engine.backup import Damaged
    from seatrial.package.digest import file_hash

    for blob in blobs:
        path = folder / "blobs" / blob_place(blob.id)
        if not path.is_file() or path.stat().st_size != blob.size_bytes or file_hash(path) != blob.sha256:
            raise Damaged(f"the bytes of object file {blob.id} are missing or damaged")


def _remove(draft: Path) -> None:
    """Remove a draft that got no name; its packages are read-only."""
    import shutil

    if draft.exists():
        for folder, _, _ in os.walk(draft):
            Path(folder).chmod(0o700)
        shutil.rmtree(draft)
