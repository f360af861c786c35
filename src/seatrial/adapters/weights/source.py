"""Where weights come from: a file, a folder of files, or an address; each can be read from the middle on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from seatrial.domain.errors import Unproven

REMEDY = "Correct the entry in [[weights]] of seatrial.toml, or put the bytes where it says."
VALID_URI = "file:///…, a path, s3://bucket/key or https://…; with '/' at its end a prefix (not for https)"


class SourceBroke(Exception):
    """The source went away in the middle, or is busy; trying again may help."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Bytes from `start` on. `total_bytes` is the whole file's size, `validator` the word for this state of it."""

    start: int
    total_bytes: int | None
    validator: str | None
    chunks: AsyncIterator[bytes]


class Source(Protocol):
    """The files below a URI; a single file has the name ""."""

    async def files(self) -> list[tuple[str, int | None]]:
        """Relative names with their sizes, where known before reading.

        Raises:
            Unproven: there is nothing.
            SourceBroke: try again.
        """
        ...

    def open(self, name: str, start: int, validator: str | None) -> AbstractAsyncContextManager[Opened]:
        """Read from `start` on, or from 0 if the file is not what `validator` said any more.

        Raises:
            Unproven: it is not there, or not to be had this way.
            SourceBroke: also from `chunks`; try again.
        """
        ...


def unfit(what: str, *, field: str = "uri", valid: str | None = VALID_URI, remedy: str = REMEDY) -> Unproven:
    """The error of the weights stage."""
    return Unproven("weights", f"{what}.", field=field, valid=valid, details={"remedy": remedy})


def shown_uri(uri: str) -> str:
    """A URI without what may be secret in it: a password, a signature."""
    plain, query, _ = uri.partition("?")
    scheme, separator, rest = plain.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}" + ("?…" if query else "")


async def no_bytes() -> AsyncIterator[bytes]:
    """The chunks of a file that is there already."""
    none: tuple[bytes, ...] = ()
    for chunk in none:
        yield chunk
