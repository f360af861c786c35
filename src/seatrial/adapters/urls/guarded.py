"""Fetching URLs from requests, guarded against server-side request forgery.

Every hop: the name is resolved once, its addresses are judged by `domain/addresses.py`, and the connection goes to
the very address that was judged, so that a second answer of the name server changes nothing. Proxies of the
environment are not used (they would resolve by themselves), and no connection is shared between hosts.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType

import httpx

from seatrial.domain.addresses import IpNetwork, refusal, remedy
from seatrial.domain.errors import INPUT_UNREACHABLE, MEDIA_TOO_LARGE, BadInput
from seatrial.domain.limits import URL_CHARS_MAX, URL_FETCH_SECONDS_MAX, URL_REDIRECTS_MAX
from seatrial.ports.urls import Fetched

Resolve = Callable[[str, int], Awaitable[list[str]]]  # host and port -> addresses, in the order to try

VALID = "an http or https URL of a public address, answering 200"


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, by the system's resolver.

    Raises:
        OSError: there are none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(where[0]) for *_, where in found))


@functools.cache
def _usual_trust() -> ssl.SSLContext:
    """The certificates that everybody trusts, read once (20 ms)."""
    return httpx.create_ssl_context(trust_env=False)


class GuardedUrls:
    """The UrlReader.

    `allow` opens networks that are not public; `trust` replaces the usual certificates, `resolve` the system's
    resolver.
    """

    def __init__(
        self,
        *,
        allow: tuple[IpNetwork, ...] = (),
        seconds_max: float = URL_FETCH_SECONDS_MAX,
        trust: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self._allow = allow
        self._seconds_max = seconds_max
        self._resolve = resolve
        self._client = httpx.AsyncClient(
            verify=trust if trust is not None else _usual_trust(),
            trust_env=False,
            follow_redirects=False,
            timeout=seconds_max,
            # A kept connection is found again by address, and would carry another host's name.
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"Accept-Encoding": "identity", "User-Agent": "seatrial"},
        )

    async def __aenter__(self) -> GuardedUrls:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close what is open."""
        await self._client.aclose()

    async def fetch(self, url: str, limit_bytes: int) -> Fetched:
        """See `ports/urls.py`."""
        try:
            async with asyncio.timeout(self._seconds_max):
                return await self._follow(url, limit_bytes)
        except TimeoutError:
            raise unreachable(url, f"did not answer in full within {self._seconds_max:g} s") from None

    async def _follow(self, url: str, limit_bytes: int) -> Fetched:
        for _ in range(URL_REDIRECTS_MAX + 1):
            target = _parsed(url)
            response = await self._send(target)
            try:
                if response.is_redirect and "location" in response.headers:
                    url = str(target.join(response.headers["location"]))
                    continue
                return await body_of(target, response, limit_bytes)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise unreachable(url, f"broke off: {_words(error)}") from None
            finally:
                await response.aclose()
        raise unreachable(url, f"redirects more than {URL_REDIRECTS_MAX} times")

    async def send(self, url: str, method: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """The open response of one request; a redirect is not followed. Raises BadInput (input_unreachable)."""
        return await self._send(_parsed(url), method, body, headers)

    async def _send(
        self, target: httpx.URL, method: str = "GET", body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The open response of the first address that accepts the connection."""
        last: httpx.HTTPError | None = None
        for address in await self._addresses(target):
            request = self._client.build_request(
                method,
                target.copy_with(host=address),
                content=body or None,
                headers={**(headers or {}), "Host": target.netloc.decode("ascii")},
                extensions={"sni_hostname": target.raw_host.decode("ascii")},
            )
            try:
                return await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                last = error
            except httpx.HTTPError as error:
                raise unreachable(str(target), f"does not speak HTTP as expected: {_words(error)}") from None
        raise unreachable(str(target), f"cannot be connected to: {_words(last)}")

    async def _addresses(self, target: httpx.URL) -> list[str]:
        port = target.port or (443 if target.scheme == "https" else 80)
        try:
            found = await self._resolve(target.raw_host.decode("ascii"), port)
        except (OSError, UnicodeError):
            raise unreachable(str(target), f"the host {target.host!r} is not known") from None
        judged = {address: refusal(address, self._allow) for address in found}
        allowed = [address for address, word in judged.items() if word is None]
        if not allowed:
            words = ", ".join(f"{address} ({word})" for address, word in judged.items())
            raise unreachable(str(target), f"leads to {words or 'no address'}, which is not allowed.{_remedy(found)}")
        return allowed


def unreachable(url: str, what: str) -> BadInput:
    """The input_unreachable error. What is secret in a URL (a signature, a password) is not repeated."""
    return BadInput(INPUT_UNREACHABLE, f"{_without_secrets(url)} {what}", valid=VALID)


def _parsed(url: str) -> httpx.URL:
    if len(url) > URL_CHARS_MAX:
        raise unreachable(url, f"is longer than {URL_CHARS_MAX:,} characters")
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise unreachable(url, f"is not a URL: {error}") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise unreachable(url, "is not an http or https URL")
    if target.userinfo:
        raise unreachable(url, "carries a user name or password, which is not allowed")
    return target.copy_with(fragment=None)


async def body_of(target: httpx.URL, response: httpx.Response, limit_bytes: int) -> Fetched:
    """The whole body of a successful answer. Raises BadInput (input_unreachable, media_too_large)."""
    if response.status_code != httpx.codes.OK:
        raise unreachable(str(target), f"answers {response.status_code} {response.reason_phrase}")
    if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise unreachable(str(target), "answers compressed although that was declined")
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise _too_large(target, f"{int(declared):,} bytes", limit_bytes)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit_bytes:
            raise _too_large(target, f"more than {limit_bytes:,} bytes", limit_bytes)
    return Fetched(bytes(body), response.headers.get("content-type", "").partition(";")[0].strip().lower())


def _too_large(target: httpx.URL, size: str, limit_bytes: int) -> BadInput:
    return BadInput(
        MEDIA_TOO_LARGE,
        f"{_without_secrets(str(target))} has {size}, and {limit_bytes:,} are allowed.",
        valid=f"at most {limit_bytes:,} bytes",
    )


def _without_secrets(url: str) -> str:
    shown, query, _ = url.partition("?")
    scheme, separator, rest = shown.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"[:URL_CHARS_MAX] + ("?…" if query else "")


def _remedy(found: list[str]) -> str:
    return f" {remedy(found)}" if found else ""


def _words(error: Exception | None) -> str:
    return str(error) or type(error).__name__
