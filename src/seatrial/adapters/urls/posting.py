"""Posting to URLs of strangers, with the guard of `guarded.py`: judged addresses only, no redirects, no proxies."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx

from seatrial.adapters.urls.guarded import GuardedUrls
from seatrial.domain.errors import BadInput
from seatrial.domain.limits import WEBHOOK_ANSWER_BYTES_MAX, WEBHOOK_ANSWER_CHARS_KEPT, WEBHOOK_ANSWER_SECONDS_MAX
from seatrial.ports.urls import NotPosted, Posted


class GuardedPosts:
    """The UrlPoster. `urls` judges the addresses, and its connections are used."""

    def __init__(self, urls: GuardedUrls, *, seconds_max: float = WEBHOOK_ANSWER_SECONDS_MAX) -> None:
        self._urls = urls
        self._seconds_max = seconds_max

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        """See `ports/urls.py`."""
        try:
            async with asyncio.timeout(self._seconds_max):
                response = await self._urls.send(url, "POST", body, headers)
                try:
                    answer = await _beginning(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise NotPosted(f"no answer within {self._seconds_max:g} s") from None
        except BadInput as refused:
            raise NotPosted(refused.message) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotPosted(f"the answer broke off: {str(error) or type(error).__name__}") from None
        wanted = response.headers.get("retry-after", "")
        if response.is_redirect:
            where = response.headers.get("location", "?")
            answer = f"A redirect to {where} is not followed: give that URL instead.\n{answer}"
            answer = answer[:WEBHOOK_ANSWER_CHARS_KEPT]
        return Posted(response.status_code, answer, int(wanted) if wanted.isdecimal() and len(wanted) < 9 else None)


async def _beginning(response: httpx.Response) -> str:
    """The first characters of the body; an endless one is not read on."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= WEBHOOK_ANSWER_BYTES_MAX:
            break
    text = body.decode("utf-8", errors="replace").replace("\x00", "\ufffd")
    return text[:WEBHOOK_ANSWER_CHARS_KEPT]
