"""The bytes to look at: a file, or bytes in memory."""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

BEGINNING_BYTES = 64


@dataclass(frozen=True)
class Content:
    """A name to call it by, and where its bytes are."""

    name: str
    source: Path | bytes

    @property
    def suffix(self) -> str:
        """The name's extension in lower case, with its dot."""
        return Path(self.name).suffix.lower()

    @property
    def short_name(self) -> str:
        """The name without its folders."""
        return Path(self.name).name

    @property
    def folder(self) -> Path | None:
        """Where files that this one names would lie; None for bytes in memory."""
        return self.source.parent if isinstance(self.source, Path) else None

    @property
    def size_bytes(self) -> int:
        """How many bytes there are.

        Raises:
            OSError: the file cannot be looked at.
        """
        return self.source.stat().st_size if isinstance(self.source, Path) else len(self.source)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """A stream at the first byte.

        Raises:
            OSError: the file cannot be opened.
        """
        with self.source.open("rb") if isinstance(self.source, Path) else io.BytesIO(self.source) as stream:
            yield stream

    @contextmanager
    def mapped(self) -> Iterator[bytes | mmap.mmap]:
        """All bytes, without reading a file into memory."""
        if isinstance(self.source, bytes):
            yield self.source
        elif self.size_bytes == 0:
            yield b""
        else:
            with self.source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                yield view

    def whole(self) -> bytes:
        """All bytes in memory; sizes are checked before."""
        return self.source.read_bytes() if isinstance(self.source, Path) else self.source

    def beginning(self) -> bytes:
        """The first BEGINNING_BYTES, by which kinds are told apart."""
        with self.opened() as stream:
            return stream.read(BEGINNING_BYTES)
