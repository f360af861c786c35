"""The server's own URLs, asked of its app within the process: for a server that listens at no port."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx

from seatrial.adapters.urls.guarded import body_of, unreachable
from seatrial.ports.urls import Fetched, UrlReader

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class WithinUrls:
    """The UrlReader. What is below `own` goes to the app that `serve` has named, anything else to `others`."""

    def __init__(self, own: str, others: UrlReader) -> None:
        self._own = own
        self._others = others
        self._app: App | None = None

    def serve(self, app: App) -> None:
        """From now on this app answers."""
        self._app = app

    async def fetch(self, url: str, limit_bytes: int) -> Fetched:
        """See `ports/urls.py`."""
        if not url.startswith(self._own + "/"):
            return await self._others.fetch(url, limit_bytes)
        if self._app is None:
            raise unreachable(url, "is not served yet")
        transport = httpx.ASGITransport(self._app)
        headers = {"Accept-Encoding": "identity"}
        async with (
            httpx.AsyncClient(transport=transport, headers=headers) as client,
            client.stream("GET", url) as answer,
        ):
            return await body_of(httpx.URL(url), answer, limit_bytes)
