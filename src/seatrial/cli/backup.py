"""`seatrial backup` and `seatrial restore`."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import DataOption, JsonOption
from seatrial.cli.screen import bytes_bar, note, print_json
from seatrial.cli.server import connect

if TYPE_CHECKING:
    from seatrial.adapters.sql.copies import NamedBlob

Advance = Callable[[int], None]
BEGIN_SECONDS = 3_600.0  # a database is copied before the first byte comes


def backup(
    dest: Annotated[Path, typer.Argument(help="File to write, or a folder for a file named by the time.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Copy a running server: jobs, objects, packages, weights and keys of one moment, while it goes on serving.

    The file holds the owner's keys; only you can read it. `seatrial restore` makes a data folder of it.
    """
    target = dest / time.strftime("seatrial-%Y%m%dT%H%M%SZ.tar", time.gmtime()) if dest.is_dir() else dest
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


# ---------------------------------------------------------------- backup


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
        _flush(target.parent)
    except OSError as error:
        fail(f"{target} cannot be written: {error.strerror or error}")
    finally:
        draft.unlink(missing_ok=True)


# ---------------------------------------------------------------- restore


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
        _flush(data.parent)
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


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
