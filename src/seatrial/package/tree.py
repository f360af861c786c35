"""A fresh folder that takes a package's members one by one and refuses every unsafe one."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from threading import Event
from typing import IO

from seatrial.domain.limits import ARCHIVE_MEMBERS_MAX, ARCHIVE_UNPACKED_BYTES_MAX, STREAM_CHUNK_BYTES
from seatrial.package.names import is_left_out, safe_parts
from seatrial.package.refusal import refusal

VALID_LINK = "a relative link to something inside the package"


class Stopped(Exception):
    """The work was given up half-way, as asked."""


class Tree:
    """Members in, files out. Modes become 0o644 or 0o755, owners are ignored, links are made last.

    Symbolic links are only made in `close`, after every file is written, so nothing is ever written through one.
    """

    def __init__(self, root: Path, stop: Event | None = None) -> None:
        """`root` is an existing empty folder; setting `stop` ends the work with Stopped."""
        self._root = root
        self._stop = stop
        self._kinds: dict[tuple[str, ...], str] = {(): "folder"}
        self._links: dict[tuple[str, ...], str] = {}
        self._members = 0
        self._unpacked_bytes = 0

    def folder(self, name: str) -> None:
        """Add a folder; the same folder may come again."""
        if (parts := self._admit(name)) is not None:
            self._make_folders(parts, name)

    def file(self, name: str, mode: int, body: IO[bytes], size_bytes: int) -> None:
        """Add a regular file of that size with these bytes, executable if `mode` says so for anybody."""
        if mode & (stat.S_ISUID | stat.S_ISGID):
            raise refusal(
                f"{name!r} is set-user-id or set-group-id", f"Run `chmod a-s {name}` and pack again.", field=name
            )
        if (parts := self._admit(name)) is None:
            return
        path = self._claim(parts, name, "file")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            raise _collision(name) from None
        with os.fdopen(descriptor, "wb") as target:
            self._fill(target, body, "/".join(parts), size_bytes)
            os.fchmod(target.fileno(), 0o755 if mode & 0o111 else 0o644)

    def hard_link(self, name: str, target_name: str) -> None:
        """Add another name of a file that was added before."""
        if (parts := self._admit(name)) is None:
            return
        target = safe_parts(target_name)
        if self._kinds.get(target) != "file":
            raise refusal(
                f"{name!r} is a hard link to {target_name!r}, which is no file of the package before it",
                "Replace the link by a copy of the file.",
                field=name,
                valid=VALID_LINK,
            )
        source = self._root.joinpath(*target)
        self._count_bytes(source.stat().st_size, name)  # it costs no disk, but it is hashed like any other
        path = self._claim(parts, name, "file")
        try:
            path.hardlink_to(source)
        except FileExistsError:
            raise _collision(name) from None

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link; `close` makes it and checks where it ends."""
        if (parts := self._admit(name)) is None:
            return
        if target.startswith("/") or "\0" in target or not target:
            raise _bad_link(name, target, "is absolute" if target.startswith("/") else "is no path")
        self._claim(parts, name, "link")
        self._links[parts] = target

    def close(self) -> None:
        """Make the links, and check that each of them ends inside.

        Raises:
            Unproven: a link ends outside, at nothing, or in a circle.
        """
        for parts, target in self._links.items():
            try:
                self._root.joinpath(*parts).symlink_to(target)
            except FileExistsError:
                raise _collision("/".join(parts)) from None
        real_root = self._root.resolve()
        for parts, target in self._links.items():
            name = "/".join(parts)
            try:
                end = self._root.joinpath(*parts).resolve(strict=True)
            except (OSError, RuntimeError):  # RuntimeError: pathlib's word for a circle, until Python 3.13
                raise _bad_link(name, target, "points at nothing in the package, or in a circle") from None
            if not end.is_relative_to(real_root):
                raise _bad_link(name, target, "leaves the package")

    def _admit(self, name: str) -> tuple[str, ...] | None:
        """The member's parts, or None for the root and for what is left out. Counts every member."""
        self._members += 1
        if self._members > ARCHIVE_MEMBERS_MAX:
            raise refusal(
                f"The package has more than {ARCHIVE_MEMBERS_MAX} members",
                "Leave out what the model does not need, or pack many small files into one.",
                valid=f"at most {ARCHIVE_MEMBERS_MAX} files and folders",
            )
        parts = safe_parts(name)
        return None if not parts or is_left_out(parts) else parts

    def _claim(self, parts: tuple[str, ...], name: str, kind: str) -> Path:
        """Take a name that nothing has yet, making its folders."""
        self._make_folders(parts[:-1], name)
        if parts in self._kinds:
            raise refusal(
                f"{name!r} is in the package twice",
                "Pack the package again from a clean folder.",
                field=name,
                valid="every name once",
            )
        self._kinds[parts] = kind
        return self._root.joinpath(*parts)

    def _make_folders(self, parts: tuple[str, ...], name: str) -> None:
        for depth in range(1, len(parts) + 1):
            head = parts[:depth]
            kind = self._kinds.get(head)
            if kind is None:
                try:
                    self._root.joinpath(*head).mkdir(0o755)
                except FileExistsError:
                    raise _collision(name) from None
                self._kinds[head] = "folder"
            elif kind != "folder":
                raise refusal(
                    f"{name!r} needs the folder {'/'.join(head)!r}, which is a {kind} of the package",
                    "Pack the package again from a clean folder.",
                    field=name,
                )

    def _fill(self, target: IO[bytes], body: IO[bytes], name: str, size_bytes: int) -> None:
        """Write what is kept of a file: here all of it, whatever size it was said to have."""
        while chunk := body.read(STREAM_CHUNK_BYTES):
            if self._stop is not None and self._stop.is_set():
                raise Stopped
            self._count_bytes(len(chunk), name)
            target.write(chunk)

    def _count_bytes(self, size_bytes: int, name: str) -> None:
        self._unpacked_bytes += size_bytes
        if self._unpacked_bytes > ARCHIVE_UNPACKED_BYTES_MAX:
            raise refusal(
                f"The package holds more than {ARCHIVE_UNPACKED_BYTES_MAX} bytes, passed at {name!r}",
                "Declare big files as [[weights]] in seatrial.toml and leave them out.",
                field=name,
                valid=f"at most {ARCHIVE_UNPACKED_BYTES_MAX} bytes unpacked",
            )


def _collision(name: str) -> Exception:
    return refusal(
        f"{name!r} has the name of another member on this file system, which does not tell them apart",
        "Rename one of them; names that differ only in capitals are one name here.",
        field=name,
    )


def _bad_link(name: str, target: str, fault: str) -> Exception:
    return refusal(
        f"{name!r} is a link to {target!r}, which {fault}",
        "Replace the link by what it points to, or declare it as [[weights]] in seatrial.toml.",
        field=name,
        valid=VALID_LINK,
    )
