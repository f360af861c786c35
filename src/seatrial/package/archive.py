"""Open a package safely: a directory, a `.tar` or a `.tar.gz` becomes a fresh folder, or is refused by name.

Archives are read as a stream, member by member (POSIX.1-2001 pax, GNU and ustar headers); nothing is trusted and
nothing is held in memory but one chunk and the names.
"""

from __future__ import annotations

import os
import shlex
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import IO

from seatrial.domain.limits import (
    ARCHIVE_BYTES_MAX,
    ARCHIVE_HEADER_BYTES_MAX,
    ARCHIVE_RATIO_FREE_BYTES,
    ARCHIVE_RATIO_MAX,
    ARCHIVE_UNPACKED_BYTES_MAX,
    STREAM_CHUNK_BYTES,
)
from seatrial.package.inflate import GZIP_MAGIC, Inflated
from seatrial.package.names import is_left_out
from seatrial.package.refusal import refusal
from seatrial.package.tree import Tree

VALID_PACKAGE = "a directory, a .tar.gz or a .tar"
SKIPPED_CHUNK_BYTES = 32 * 1024  # larger ones cost more memory traffic than the bytes that they skip
ZIP_MAGIC = b"PK\x03\x04"
Told = Callable[[int], None]  # how many more bytes of the archive were read
UNREADABLE = (tarfile.TarError, EOFError, zlib.error)


def open_package(source: Path, root: Path, stop: Event | None = None, label: str | None = None) -> None:
    """Fill the existing empty folder `root` with the package at `source`. Blocking.

    Errors call the package `label`, as its owner does; the source may be a copy under a name of the server's own.
    After an error `root` holds leftovers that the caller removes.

    Raises:
        Unproven: unreadable, unsafe or over a limit; `field` names the member at fault.
        Stopped: `stop` was set meanwhile.
    """
    fill(Tree(root, stop), source, label or source.name)
    refuse_wrong_root(root)


def fill(tree: Tree, source: Path, label: str, told: Told | None = None) -> None:
    """Give every member of the package at `source` to the tree, and close it. Blocking.

    `told` hears how far an archive was read.

    Raises:
        Unproven: unreadable, unsafe or over a limit.
        Stopped: the tree was told to stop.
    """
    try:
        if source.is_dir():
            _take_directory(source, tree)
        else:
            _take_archive(source, tree, label, told)
        tree.close()
    except OSError as error:
        raise refusal(
            f"The package {label!r} cannot be opened: {error.strerror or error}",
            "Check that the file is there and that the server's disk has room.",
            field=label,
            valid=VALID_PACKAGE,
        ) from error


def refuse_wrong_root(root: Path) -> None:
    """Refuse an empty package, and one whose files all lie one folder too deep, or several.

    Raises:
        Unproven: with the command that packs it right.
    """
    entries = list(root.iterdir())
    if not entries:
        raise refusal("The package is empty", "Pack the folder that holds seatrial.toml or code/inference.py.")
    top, depth = root, 0
    while len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink():
        top, depth = entries[0], depth + 1
        if (top / "seatrial.toml").exists() or _is_code(top / "code", depth):
            inside = top.relative_to(root).as_posix()
            folders = "one folder" if depth == 1 else f"{depth} folders"
            raise refusal(
                f"Everything lies inside the folder {inside!r}, {folders} too deep",
                f"Pack what is inside of it: tar -czf package.tar.gz -C {shlex.quote(inside)} .",
                field=inside,
                valid="seatrial.toml or code/ at the top of the package",
            )
        if top.name == "code":
            return
        entries = list(top.iterdir())


def _is_code(folder: Path, depth: int) -> bool:
    """Whether it is the handler's folder in SageMaker's layout; far below, a folder `code` may be anything."""
    return (folder / "inference.py").exists() if depth > 1 else folder.is_dir()


def members_of(source: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every name below a directory, parents first and sorted, with its own state; what is left out is skipped."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(source / prefix) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        folders = []
        for entry in found:
            name = f"{prefix}{entry.name}"
            if is_left_out((entry.name,)):
                continue
            state = entry.stat(follow_symlinks=False)
            yield name, state
            if stat.S_ISDIR(state.st_mode):
                folders.append(f"{name}/")
        pending.extend(reversed(folders))


def _take_directory(source: Path, tree: Tree) -> None:
    for name, state in members_of(source):
        path = source / name
        if stat.S_ISDIR(state.st_mode):
            tree.folder(name)
        elif stat.S_ISLNK(state.st_mode):
            tree.link(name, os.readlink(path))  # noqa: PTH115  # the text as it is, not a cleaned-up path
        elif stat.S_ISREG(state.st_mode):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as body:
                tree.file(name, state.st_mode, body, state.st_size)
        else:
            raise special_member(name)


def _take_archive(source: Path, tree: Tree, label: str, told: Told | None) -> None:
    with source.open("rb") as packed:
        if os.fstat(packed.fileno()).st_size > ARCHIVE_BYTES_MAX:
            raise refusal(
                f"The archive {label!r} is larger than {ARCHIVE_BYTES_MAX} bytes",
                "Declare big files as [[weights]] in seatrial.toml and leave them out.",
                valid=f"at most {ARCHIVE_BYTES_MAX} bytes",
            )
        magic = packed.read(len(ZIP_MAGIC))
        packed.seek(0)
        if magic == ZIP_MAGIC:
            raise _zip(label)
        reader = _Forward(Inflated(packed) if magic.startswith(GZIP_MAGIC) else packed, packed, label, told)
        try:
            _take_members(reader, tree)
        except UNREADABLE as error:
            raise refusal(
                f"{label!r} is no whole tar archive: {error}",
                "Pack it again, and check that the upload was complete.",
                field=label,
                valid=VALID_PACKAGE,
            ) from error


def _take_members(reader: _Forward, tree: Tree) -> None:
    with tarfile.TarFile(fileobj=reader, mode="r", encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[arg-type]  # it only reads, tells and seeks forward
        for member in archive:
            _take_member(archive, member, tree)
    if not reader.ended_by_zeros:
        raise tarfile.ReadError("it breaks off, or a header is damaged")
    while chunk := reader.read(STREAM_CHUNK_BYTES):  # to the end, so that gzip's checksum is verified
        if chunk.strip(b"\0"):
            raise tarfile.ReadError("more data follows its end")


def _take_member(archive: tarfile.TarFile, member: tarfile.TarInfo, tree: Tree) -> None:
    if member.isdir():
        tree.folder(member.name)
    elif member.issym():
        tree.link(member.name, member.linkname)
    elif member.islnk():
        tree.hard_link(member.name, member.linkname)
    elif member.isreg():
        body = archive.extractfile(member)
        assert body is not None  # noqa: S101  # only members without bytes have none
        with body:
            tree.file(member.name, member.mode, body, member.size)
    else:
        raise special_member(member.name)


def special_member(name: str) -> Exception:
    """The refusal of what is no file, folder or link."""
    return refusal(
        f"{name!r} is a device, FIFO or socket",
        "Remove it and pack the package again.",
        field=name,
        valid="files, folders, and links inside the package",
    )


def _zip(label: str) -> Exception:
    return refusal(
        f"{label!r} is a zip",
        "Unpack it and pack the folder as .tar.gz: tar czf package.tar.gz -C FOLDER .",
        field=label,
        valid=VALID_PACKAGE,
    )


class _Forward:
    """What tarfile reads from: each read bounded, size and ratio watched; forward only, unless it is a plain tar."""

    def __init__(self, unpacked: IO[bytes] | Inflated, packed: IO[bytes], label: str, told: Told | None) -> None:
        self._unpacked = unpacked
        self._plain = unpacked is packed
        self._packed = packed
        self._label = label
        self._told = told
        self._told_of = 0
        self._position = 0
        self.ended_by_zeros = False  # the last read was a whole block of zeros, as the end of an archive is

    def read(self, size: int) -> bytes:
        if size > max(ARCHIVE_HEADER_BYTES_MAX, STREAM_CHUNK_BYTES):
            raise tarfile.ReadError(f"a header of {size} bytes, over the limit of {ARCHIVE_HEADER_BYTES_MAX}")
        chunk = self._unpacked.read(size)
        self._position += len(chunk)
        self.ended_by_zeros = len(chunk) == tarfile.BLOCKSIZE and not any(chunk)
        self._watch_size()
        return chunk

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return self._plain

    def seek(self, position: int) -> None:
        if self._plain:
            self._position = self._packed.seek(position)
            self._watch_size()
            return
        if position < self._position:
            raise tarfile.ReadError("its members overlap")
        while self._position < position:
            if not self.read(min(position - self._position, SKIPPED_CHUNK_BYTES)):
                raise EOFError("it breaks off")

    def _watch_size(self) -> None:
        packed_bytes = self._packed.tell()
        if self._told is not None and packed_bytes > self._told_of:
            self._told(packed_bytes - self._told_of)
            self._told_of = packed_bytes
        if self._position > ARCHIVE_UNPACKED_BYTES_MAX:
            raise refusal(
                f"The archive {self._label!r} unpacks to more than {ARCHIVE_UNPACKED_BYTES_MAX} bytes",
                "Declare big files as [[weights]] in seatrial.toml and leave them out.",
                valid=f"at most {ARCHIVE_UNPACKED_BYTES_MAX} bytes unpacked",
            )
        if self._position > max(ARCHIVE_RATIO_FREE_BYTES, packed_bytes * ARCHIVE_RATIO_MAX):
            raise refusal(
                f"The archive {self._label!r} unpacks to more than {ARCHIVE_RATIO_MAX} times its size",
                "Check what is in it; big files of zeros belong into no package.",
                valid=f"at most {ARCHIVE_RATIO_MAX} times, beyond the first {ARCHIVE_RATIO_FREE_BYTES} bytes",
            )
