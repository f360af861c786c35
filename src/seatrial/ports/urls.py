"""Where media behind http(s) URLs come from."""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Posted:
    """What a receiver answered: status, the beginning of its body as text, and how long it wants to be left alone."""

    status: int
    answer: str
    retry_after_seconds: int | None = None


class NotPosted(Exception):
    """There was no answer: refused by us, away, or too slow. Its words are for people."""


class UrlPoster(Protocol):
    """Posts to URLs that strangers give, under the same guard. A redirect is an answer, and is not followed."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        """The receiver's answer.

        Raises:
            NotPosted
        """
        ...
