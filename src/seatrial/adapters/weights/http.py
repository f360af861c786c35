"""Weights at an http(s) address, read on from where a broken connection left off (RFC 9110, Range and If-Range).

Every hop: the name is resolved once, its addresses are judged (domain/addresses.py), and the connection goes to the
very address that was judged, so that another answer of the name server changes nothing.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from seatrial.adapters.weights.source import Opened, SourceBroke, no_bytes, shown_uri, unfit
from seatrial.domain.addresses import IpNetwork, refusal, remedy
from seatrial.domain.limits import URL_REDIRECTS_MAX

CONNECT_SECONDS_MAX = 30.0
SILENCE_SECONDS_MAX = 60.0
WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})
CONTENT_RANGE = re.compile(r"bytes (?:(?P<start>\d+)-\d+|\*)/(?P<total>\d+|\*)")


class HttpSource:
    """One file at an address; what lies below an address cannot be listed."""

    def __init__(self, uri: str, *, allow: tuple[IpNetwork, ...], trust: ssl.SSLContext | None = None) -> None:
        """Raises Unproven: not such a URI."""
        self._url = _parsed(uri)
        if self._url.path.endswith("/"):
            raise unfit(f"{shown_uri(uri)} is a prefix, and what lies below an address cannot be listed")
        self._allowed = allow
        self._trust = trust

    async def files(self) -> list[tuple[str, int | None]]:
        """See the protocol. The size shows when it is opened."""
        return [("", None)]

    @asynccontextmanager
    async def open(self, name: str, start: int, validator: str | None) -> AsyncIterator[Opened]:
        """See the protocol. The validator is a strong ETag or the time of the last change."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and validator:
            headers["If-Range"] = validator
        try:
            async with self._client() as client:
                response = await self._follow(client, headers)
                if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                    total = _total(response)
                    if total != start:
                        headers, start = {}, 0
                        await response.aclose()
                        response = await self._follow(client, headers)
                try:
                    yield self._opened(response, start)
                finally:
                    await response.aclose()
        except httpx.TransportError as error:
            raise SourceBroke(f"{shown_uri(str(self._url))} broke off: {str(error) or type(error).__name__}") from error

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=True if self._trust is None else self._trust,
            trust_env=False,
            timeout=httpx.Timeout(SILENCE_SECONDS_MAX, connect=CONNECT_SECONDS_MAX),
            headers={"Accept-Encoding": "identity", "User-Agent": "seatrial"},
            limits=httpx.Limits(max_keepalive_connections=0),  # one would be found again by address alone
        )

    async def _follow(self, client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
        """The open response after redirects."""
        url = self._url
        for _ in range(URL_REDIRECTS_MAX + 1):
            response = await self._send(client, url, headers)
            if not (response.is_redirect and "location" in response.headers):
                return response
            await response.aclose()
            url = _parsed(str(url.join(response.headers["location"])))
        raise unfit(f"{shown_uri(str(self._url))} redirects more than {URL_REDIRECTS_MAX} times")

    async def _send(self, client: httpx.AsyncClient, url: httpx.URL, headers: dict[str, str]) -> httpx.Response:
        """The open response of the first address that takes the connection."""
        last: httpx.TransportError | None = None
        for address in await self._addresses(url):
            request = client.build_request(
                "GET",
                url.copy_with(host=address),
                headers={"Host": url.netloc.decode("ascii")} | headers,
                extensions={"sni_hostname": url.raw_host.decode("ascii")},
            )
            try:
                return await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                last = error
        raise SourceBroke(f"{shown_uri(str(url))} cannot be connected to: {last}")

    async def _addresses(self, url: httpx.URL) -> list[str]:
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                url.raw_host.decode("ascii"), port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError) as error:
            raise SourceBroke(f"the host {url.host!r} is not known") from error
        judged = {str(where[0]): refusal(str(where[0]), self._allowed) for *_, where in found}
        allowed = [address for address, word in judged.items() if word is None]
        if not allowed:
            words = ", ".join(f"{address} ({word})" for address, word in judged.items())
            raise unfit(f"{shown_uri(str(url))} leads to {words}, which is not allowed", remedy=remedy(judged))
        return allowed

    def _opened(self, response: httpx.Response, start: int) -> Opened:
        """Judge the status; what is not a file worth reading raises."""
        status, shown = response.status_code, shown_uri(str(self._url))
        if status in WORTH_ANOTHER_TRY:
            raise SourceBroke(f"{shown} answers {status}")
        if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise unfit(f"{shown} answers compressed although that was declined")
        if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return Opened(start, start, None, no_bytes())
        if status == httpx.codes.PARTIAL_CONTENT:
            found = CONTENT_RANGE.match(response.headers.get("content-range", ""))
            if found is None or found["start"] is None or int(found["start"]) != start:
                raise unfit(f"{shown} answers another part than was asked for")
            return Opened(start, _total(response), _validator(response), response.aiter_raw())
        if status != httpx.codes.OK:
            raise unfit(f"{shown} answers {status} {response.reason_phrase}")
        length = response.headers.get("content-length", "")
        total = int(length) if length.isdigit() else None
        return Opened(0, total, _validator(response), response.aiter_raw())


def _parsed(uri: str) -> httpx.URL:
    try:
        url = httpx.URL(uri)
    except httpx.InvalidURL as error:
        raise unfit(f"{shown_uri(uri)} is not a URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise unfit(f"{shown_uri(uri)} is not an http or https URL")
    return url.copy_with(fragment=None)


def _total(response: httpx.Response) -> int | None:
    found = CONTENT_RANGE.match(response.headers.get("content-range", ""))
    return int(found["total"]) if found is not None and found["total"].isdigit() else None


def _validator(response: httpx.Response) -> str | None:
    """What If-Range takes: an ETag that is not weak, or a date."""
    etag: str = response.headers.get("etag", "")
    if etag.startswith('"'):
        return etag
    changed: str | None = response.headers.get("last-modified")
    return changed
