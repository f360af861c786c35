"""The receiver's routes: any POST or PUT is a callback, except those of its own; the rest is for looking."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from seatrial.prove.callbacks.callback import Answered, Callback
from seatrial.prove.callbacks.inbox import Inbox
from seatrial.prove.callbacks.misbehaviour import Misbehaviour, Orders
from seatrial.prove.callbacks.reading import Said, read_body
from seatrial.prove.callbacks.signatures import SHARED, check_signature
from seatrial.prove.limits import (
    CALLBACK_BYTES_MAX,
    CALLBACK_TEXT_CHARS_KEPT,
    CALLBACK_WAIT_SECONDS_MAX,
    CALLBACKS_SHOWN_MAX,
    CONTROL_BYTES_MAX,
)

# Only what the page itself carries may run or load.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILE_POLICY = "default-src 'none'; sandbox"
_SHOWN_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")  # what a browser may show and not run
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MISBEHAVIOUR = TypeAdapter(Misbehaviour)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes need. `is_open`: the receiver is on loopback, so that looking needs no secret."""

    inbox: Inbox
    orders: Orders
    secrets: Sequence[str]
    is_open: bool
    hosts: frozenset[str]  # names under which it may be looked at
    confirms: bool = False  # it answers topics that ask whether it wants to be told


class TooLarge(Exception):
    """A body of more bytes than are taken."""


def build_app(desk: Desk) -> Starlette:
    """The application."""
    look = _Looking(desk)
    routes = [
        Route("/", look.page, methods=["GET"]),
        Route("/callbacks", look.listed, methods=["GET"]),
        Route("/callbacks", look.cleared, methods=["DELETE"]),
        Route("/callbacks/{number:int}", look.one, methods=["GET"]),
        Route("/callbacks/{number:int}/parts/{part:int}", look.part, methods=["GET"]),
        Route("/control", look.orders, methods=["GET", "PUT"]),
        Route("/health", _healthy, methods=["GET"]),
        Route("/{path:path}", _Receiving(desk).receive, methods=["POST", "PUT"]),
    ]
    return Starlette(routes=routes)


async def _healthy(request: Request) -> Response:
    return JSONResponse({"status": "healthy"})


# ---------------------------------------------------------------------- receiving


class _Receiving:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def receive(self, request: Request) -> Response:
        """One callback: kept, answered, and then looked at."""
        try:
            body = await _body(request, CALLBACK_BYTES_MAX)
        except TooLarge:
            return JSONResponse({"error": f"a callback has at most {CALLBACK_BYTES_MAX:,} bytes"}, 413)
        except ClientDisconnect:
            return Response(status_code=400)
        headers = {name.lower(): value for name, value in request.headers.items()}
        said = await read_body(headers, body)
        callback = self._callback(request, headers, body, said)
        contents = said.contents if callback.signature.is_good else []  # a stranger's files are not kept
        orders = Misbehaviour()
        if callback.signature.is_good:
            callback.answered, orders = self._desk.orders.next()
        else:
            callback.answered = Answered.REFUSED
        callback.answered_status = _STATUSES.get(callback.answered, orders.fail_status)
        try:
            await run_in_threadpool(self._desk.inbox.keep, callback, contents)
        except OSError as error:
            return JSONResponse({"error": f"it cannot be kept: {error.strerror}"}, 507)
        return await self._answer(callback, orders)

    def _callback(self, request: Request, headers: Mapping[str, str], body: bytes, said: Said) -> Callback:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        signature = check_signature(headers, body, self._desk.secrets, time.time())
        return Callback(
            number=self._desk.inbox.number(),
            received_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            method=request.method,
            path=path[:CALLBACK_TEXT_CHARS_KEPT],
            content_type=headers.get("content-type", "")[:CALLBACK_TEXT_CHARS_KEPT],
            size_bytes=len(body),
            signature=signature,
            delivery_id=headers.get("webhook-id", "")[:CALLBACK_TEXT_CHARS_KEPT],
            provided_secret=headers.get("x-callback-secret", "") if signature.scheme == SHARED else "",
            fields=said.fields,
            problem=said.problem,
            job_id=said.words.get("job_id", ""),
            status=said.words.get("status", ""),
            completed_at=said.words.get("completed_at", ""),
            image_url=said.words.get("image_url", ""),
            error=said.words.get("error", ""),
        )

    async def _looked(self, callback: Callback) -> None:
        await run_in_threadpool(self._desk.inbox.look, callback)
        if self._desk.confirms and callback.fields.get("Type") == "SubscriptionConfirmation":
            await _confirm(callback.fields.get("SubscribeURL", ""))

    async def _answer(self, callback: Callback, orders: Misbehaviour) -> Response:
        if callback.answered is Answered.REFUSED:
            return JSONResponse({"error": callback.signature.reason}, 401)
        look = BackgroundTask(self._looked, callback)
        if callback.answered is Answered.HUNG:
            await run_in_threadpool(self._desk.inbox.look, callback)
            await asyncio.sleep(orders.hang_seconds)
            return JSONResponse({"error": "told to hang"}, _HUNG_STATUS)
        await asyncio.sleep(orders.delay_seconds)
        if callback.answered is Answered.FAILED:
            return JSONResponse({"error": "told to fail"}, orders.fail_status, background=look)
        return JSONResponse({"received": True, "number": callback.number}, 200, background=look)


async def _confirm(url: str) -> None:
    """Visit what a topic sent; it asks again when that does not succeed."""
    try:
        async with httpx.AsyncClient(timeout=CALLBACK_WAIT_SECONDS_MAX, trust_env=False) as client:
            await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL):
        pass  # a topic that is away, or no topic: the callback is there to be looked at


_HUNG_STATUS = 504  # by then its sender has long given up
_STATUSES: Mapping[Answered, int] = {Answered.TAKEN: 200, Answered.REFUSED: 401, Answered.HUNG: _HUNG_STATUS}


async def _body(request: Request, bytes_max: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise TooLarge
    return bytes(body)


# ---------------------------------------------------------------------- looking


def _for_owners(
    route: Callable[[_Looking, Request], Awaitable[Response]],
) -> Callable[[_Looking, Request], Awaitable[Response]]:
    """Only for those on this machine, or with the secret as a bearer token or as a password."""

    async def guarded(self: _Looking, request: Request) -> Response:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        if self.desk.is_open and host not in self.desk.hosts:  # a foreign page, by a name that leads to loopback
            return PlainTextResponse(f"this receiver does not answer to the name {host[:100]!r}", 421)
        if not self.desk.is_open and not _knows(request.headers.get("authorization", ""), self.desk.secrets):
            return PlainTextResponse("the secret is needed", 401, {"WWW-Authenticate": 'Basic realm="callbacks"'})
        return await route(self, request)

    return guarded


def _knows(authorization: str, secrets: Sequence[str]) -> bool:
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    return any(hmac.compare_digest(given.encode(), secret.encode()) for secret in secrets)


class _Looking:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    @_for_owners
    async def page(self, request: Request) -> Response:
        """The live page; it asks for `/callbacks` again and again."""
        return HTMLResponse(_page(), 200, {"Content-Security-Policy": _PAGE_POLICY, **_CAREFUL})

    @_for_owners
    async def listed(self, request: Request) -> Response:
        """All callbacks, oldest first. `?since=CHANGE&wait=S` waits for news, `?newest=N` leaves out older ones."""
        try:
            asked = {name: float(request.query_params.get(name, 0)) for name in ("since", "wait", "newest")}
            newest = int(asked["newest"])
        except (ValueError, OverflowError):
            return JSONResponse({"error": "since, wait and newest are numbers"}, 422)
        inbox = self.desk.inbox
        await _news(inbox, asked["since"], min(asked["wait"], CALLBACK_WAIT_SECONDS_MAX))
        change = inbox.change
        kept = inbox.callbacks()
        shown = kept[-newest:] if newest >= 1 else kept
        told = {"change": change, "kept": len(kept), "callbacks": [one.told() for one in shown]}
        return JSONResponse(told, 200, _CAREFUL)

    @_for_owners
    async def one(self, request: Request) -> Response:
        """One callback."""
        callback = self.desk.inbox.callback(request.path_params["number"])
        return _missing("callback") if callback is None else JSONResponse(callback.told(), 200, _CAREFUL)

    @_for_owners
    async def part(self, request: Request) -> Response:
        """What a callback carried, as it came. Only pictures are shown by browsers; the rest is downloaded."""
        callback = self.desk.inbox.callback(request.path_params["number"])
        number = request.path_params["part"]
        if callback is None or number >= len(callback.parts):
            return _missing("part")
        path = callback.parts[number].saved_path
        if path is None or not await run_in_threadpool(Path(path).is_file):
            return _missing("part")
        media_type = callback.parts[number].media_type.partition(";")[0]
        headers = {"Content-Security-Policy": _FILE_POLICY, **_CAREFUL}
        if media_type not in _SHOWN_TYPES:
            return FileResponse(path, media_type="application/octet-stream", filename=Path(path).name, headers=headers)
        return FileResponse(path, media_type=media_type, headers=headers)

    @_for_owners
    async def cleared(self, request: Request) -> Response:
        """Forget all."""
        return JSONResponse({"forgotten": await run_in_threadpool(self.desk.inbox.clear)})

    @_for_owners
    async def orders(self, request: Request) -> Response:
        """What is to go wrong; a PUT replaces it by the fields that it names, the others being their defaults."""
        if request.method == "PUT":
            try:
                body = json.loads(await _body(request, CONTROL_BYTES_MAX))
                if not isinstance(body, dict) or body.keys() - Misbehaviour.__dataclass_fields__.keys():
                    raise ValueError(f"an object with some of {', '.join(Misbehaviour.__dataclass_fields__)}")
                self.desk.orders.give(_MISBEHAVIOUR.validate_python(body))
            except (ValueError, TooLarge, ClientDisconnect) as error:
                return JSONResponse({"error": _words(error)}, 422)
        return JSONResponse(asdict(self.desk.orders.left), 200, _CAREFUL)


async def _news(inbox: Inbox, since: float, seconds: float) -> None:
    """Return once there is a change after `since`, or the time is over."""
    loop, rung = asyncio.get_running_loop(), asyncio.Event()
    with inbox.heard(lambda: loop.call_soon_threadsafe(rung.set)):
        if inbox.change <= since and seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(rung.wait(), seconds)


_CAREFUL = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def _words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(one) for one in first['loc'])} {first['msg']}".strip()
    return str(error) or type(error).__name__


def _missing(what: str) -> Response:
    return JSONResponse({"error": f"there is no such {what}"}, 404)


@cache
def _page() -> str:
    page = files("seatrial.prove.callbacks").joinpath("page.html").read_text(encoding="utf-8")
    return page.replace("CALLBACKS_SHOWN_MAX", str(CALLBACKS_SHOWN_MAX))


def loopback_hosts(*urls: str) -> frozenset[str]:
    """The names of this machine, and those of these URLs."""
    return frozenset({*_LOOPBACK, *(urlsplit(url).hostname or "" for url in urls)})
