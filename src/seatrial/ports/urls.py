"""Where media behind http(s) URLs come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Fetched:
    """The whole body, and its media type as the server there said (empty: it did not)."""

    body: bytes
    media_type: str


class UrlReader(Protocol):
    """Reads URLs that strangers give, without letting them reach what only this machine can reach."""

    async def fetch(self, url: str, limit_bytes: int) -> Fetched:
        """The body behind a URL, bounded in size and in time.

        Raises:
            BadInput: input_unreachable (refused, away, too slow, not a success), media_too_large.
        """
        ...
