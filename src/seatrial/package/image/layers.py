"""What a container sees: an image's layers laid over each other, files that a later layer removes gone.

Whiteouts: OCI Image Format Specification 1.1, "Layer filesystem changeset". No file is unpacked.
"""

from __future__ import annotations

import posixpath
import sys
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, cast

from seatrial.domain.limits import (
    ARCHIVE_MEMBERS_MAX,
    ARCHIVE_UNPACKED_BYTES_MAX,
    CHECKED_WHOLE_BYTES_MAX,
)
from seatrial.package.image.store import SAVE_AGAIN, Layer
from seatrial.package.inflate import GZIP_MAGIC, Inflated
from seatrial.package.refusal import refusal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
LINKS_MAX = 40
IMAGE_HEAD_BYTES = 1024  # of an executable: its first line, or an ELF file's headers and the name of its loader
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file, folder or link of an image. `content` is a file's first bytes; all of a small Python file."""

    mode: int
    is_folder: bool = False
    link: str | None = None
    content: bytes = b""

    @property
    def is_executable(self) -> bool:
        """For anybody."""
        return bool(self.mode & 0o111)


class Files:
    """The whole tree, by absolute path. Modules of Python are kept whole below the folders `read_below`."""

    def __init__(self, read_below: Iterable[str] = ()) -> None:
        self._read_below = tuple(read_below)
        self._files: dict[str, ImageFile] = {}
        self._members = 0

    def find(self, path: str) -> tuple[str, ImageFile] | None:
        """A file or folder with its real path, links followed."""
        for _ in range(LINKS_MAX):
            path = self._without_linked_folders(posixpath.normpath(path))
            found = self._files.get(path)
            if found is None or found.link is None:
                return None if found is None else (path, found)
            path = posixpath.join(posixpath.dirname(path), found.link)
        return None

    def names(self) -> Iterable[str]:
        """Every path."""
        return self._files

    def lay(self, layer: Layer) -> None:
        """Lay the next layer over what is there.

        Raises:
            Unproven: it is damaged or over a limit.
        """
        with layer.open() as body:
            magic = body.read(4)
            body.seek(0)
            try:
                self._lay(_unpacked(body, magic))
            except (tarfile.TarError, EOFError, zlib.error, zstd.ZstdError, OSError) as error:
                raise refusal(f"The layer {layer.name} is damaged: {error}", SAVE_AGAIN, field=layer.name) from error

    def _lay(self, body: IO[bytes] | Inflated | zstd.ZstdFile) -> None:
        is_stream = isinstance(body, Inflated | zstd.ZstdFile)
        with tarfile.open(fileobj=cast(IO[bytes], body), mode="r|" if is_stream else "r:") as archive:
            for member in archive:
                self._members += 1
                if self._members > ARCHIVE_MEMBERS_MAX * 10 or archive.offset > ARCHIVE_UNPACKED_BYTES_MAX:
                    raise refusal("The image has too many files or bytes", "Leave out what the model does not need.")
                self._add(archive, member)

    def _add(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = posixpath.normpath("/" + member.name)
        folder, name = posixpath.split(path)
        if name == OPAQUE:
            self._remove_below(folder)
        elif name.startswith(WHITEOUT):
            gone = posixpath.join(folder, name.removeprefix(WHITEOUT))
            self._files.pop(gone, None)
            self._remove_below(gone)
        elif member.islnk():
            same = self._files.get(posixpath.normpath("/" + member.linkname))
            if same is not None:
                self._files[path] = same
        elif member.issym():
            self._files[path] = ImageFile(member.mode, link=member.linkname)
        elif member.isdir():
            self._files[path] = ImageFile(member.mode, is_folder=True)
        elif member.isreg():
            self._files[path] = ImageFile(member.mode, content=self._content(archive, member, path))

    def _content(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> bytes:
        is_module = path.endswith(".py") and member.size <= CHECKED_WHOLE_BYTES_MAX and "-packages/" not in path
        size = member.size if is_module and path.startswith(self._read_below) else IMAGE_HEAD_BYTES
        if size == IMAGE_HEAD_BYTES and not member.mode & 0o111:
            return b""
        body = archive.extractfile(member)
        return body.read(size) if body is not None else b""

    def _remove_below(self, folder: str) -> None:
        prefix = folder.rstrip("/") + "/"
        for path in [one for one in self._files if one.startswith(prefix)]:
            del self._files[path]

    def _without_linked_folders(self, path: str) -> str:
        """The path with every link among its folders replaced, such as /bin by /usr/bin."""
        for _ in range(LINKS_MAX):
            parts = path.strip("/").split("/")
            for depth in range(1, len(parts)):
                head = "/" + "/".join(parts[:depth])
                found = self._files.get(head)
                if found is not None and found.link is not None:
                    base = posixpath.join(posixpath.dirname(head), found.link)
                    path = posixpath.normpath(posixpath.join(base, *parts[depth:]))
                    break
            else:
                return path
        return path


def _unpacked(body: IO[bytes], magic: bytes) -> IO[bytes] | Inflated | zstd.ZstdFile:
    """A layer's tar, whichever of OCI's compressions it has."""
    if magic == ZSTD_MAGIC:
        return zstd.ZstdFile(body)
    return Inflated(body) if magic.startswith(GZIP_MAGIC) else body
