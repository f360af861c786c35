"""Who keeps small secrets so that a copy of the database does not tell them."""

from __future__ import annotations

from typing import Protocol


class SealBroken(Exception):
    """The text was not sealed here, not for this purpose, or was changed."""


class Sealer(Protocol):
    """Authenticated encryption with a key that never leaves its place."""

    def seal(self, secret: str, purpose: str) -> str:
        """The secret as a text that only the same purpose opens."""
        ...

    def open(self, sealed: str, purpose: str) -> str:
        """The secret again. Raises SealBroken."""
        ...
