"""What a backup is made of: a copy of the database, and the immutable files that it names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Member:
    """A file, folder or link of a backup; `name` is its path in there, which is its path in a data folder."""

    name: str
    path: Path


class Holds:
    """Counts those who need that nothing is removed."""

    def __init__(self) -> None:
        self._count = 0

    def any(self) -> bool:
        """Whether somebody does."""
        return self._count > 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """One more, inside of this."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1


class DatabaseCopier(Protocol):
    """The one source of truth, which goes first."""

    async def copy(self, target: Path) -> None:
        """Write one consistent state of the database into a new file, while it goes on being written to.

        Raises:
            StoreUnavailable: it cannot be read, or the copy not be written.
        """
        ...


class Keeper(Protocol):
    """Files that never change while they are there, kept because the database names them."""

    def held(self) -> AbstractContextManager[None]:
        """Inside of it nothing is removed."""
        ...

    async def members(self, database: Path) -> Sequence[Member]:
        """What a copy of the database needs of it, folders before what lies in them."""
        ...
