"""The Runtime API on loopback, for a runtime that knows no key: each request goes on to the server.

`next` is held open until there is an invocation, as at AWS. An outcome is posted until the server has taken it: a
runtime never hears of a server that is away.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import quote

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from seatrial.http.dialects.aws_lambda.runtime import ERROR_TYPE, INIT_ERROR, NEXT, REQUEST_ID, VERSION

PING_SECONDS = 5.0
ANSWER_SECONDS = 30.0
PAUSES_SECONDS = (0.5, 1.0, 2.0, 5.0)  # between tries while the server does not answer; the last one again and again
_HOP_BY_HOP = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})


class Refused(Exception):
    """The server will never answer otherwise: a wrong key, or no such endpoint."""


class Relay:
    """Of one runtime, which has one invocation at a time."""

    def __init__(self, server_url: str, api_key: str, endpoint: str, worker: str) -> None:
        base = f"{server_url}/v1/endpoints/{quote(endpoint, safe='')}/lambda/{quote(worker, safe='')}"
        headers = {"Authorization": f"Bearer {api_key}"}
        self._client = httpx.AsyncClient(base_url=base, headers=headers, timeout=ANSWER_SECONDS, trust_env=False)
        self._pinging = asyncio.Lock()
        self.current: str | None = None  # the invocation that the runtime is at work on
        self.asked = asyncio.Event()  # the runtime has asked for work: it could start
        self.stop = asyncio.Event()  # the runtime is to stop with what it is at work on
        self.init_error: str | None = None  # what the runtime has said about a failed start
        self.refused: asyncio.Future[Refused] = asyncio.get_running_loop().create_future()
        self.app = Starlette(
            routes=[
                Route(NEXT, self._next, methods=["GET"]),
                Route(INIT_ERROR, self._init_error, methods=["POST"]),
                Route(VERSION + "/invocation/{request_id}/{what:path}", self._outcome, methods=["POST"]),
            ]
        )

    async def look_after(self) -> None:
        """For ever: tell the server what the runtime is at work on, and hear what it is to stop with."""
        await asyncio.gather(self._ping_on(), self._hear_stops())

    async def gone(self) -> None:
        """The runtime's process has ended: what it had is at work no more."""
        self.current = None
        await self._ping()

    async def could_not_start(self, error_type: str, message: str) -> None:
        """Tell the server in the runtime's place, which cannot: it has said nothing itself."""
        body = json.dumps({"errorType": error_type, "errorMessage": message}).encode()
        await self._ask("POST", INIT_ERROR, body, {ERROR_TYPE: error_type, "Content-Type": "application/json"})

    async def close(self) -> None:
        """Let go of the server."""
        await self._client.aclose()

    # ------------------------------------------------------------------ what the runtime asks

    async def _next(self, request: Request) -> Response:
        self.current = None
        self.asked.set()
        while not await request.is_disconnected():
            answer = await self._ask("GET", NEXT)
            if answer.status_code == 200:
                self.current = answer.headers[REQUEST_ID]
                self.stop.clear()
                await self._ping()  # from now on its death is that of a process at work
                return _passed_on(answer)
        return Response(status_code=204)

    async def _outcome(self, request: Request) -> Response:
        answer = await self._ask("POST", request.scope["path"], await request.body(), _kept(request))
        if request.path_params["request_id"] == self.current:
            self.current = None
        return _passed_on(answer)

    async def _init_error(self, request: Request) -> Response:
        body = await request.body()
        self.init_error = body.decode(errors="replace")
        return _passed_on(await self._ask("POST", INIT_ERROR, body, _kept(request)))

    # ------------------------------------------------------------------ inside

    async def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The server's answer, whenever it comes; one that is no 2xx counts as none."""
        tries = 0
        while True:
            try:
                answer = await self._client.request(method, path, content=body, headers=dict(headers or {}))
                if answer.is_success:
                    return answer
                if answer.status_code in (401, 403, 404) and not self.refused.done():
                    said = f"the server answers {answer.status_code}: {answer.text[:300]}"
                    self.refused.set_result(Refused(said))
            except httpx.TransportError:
                pass  # away, or starting again: it is asked again
            await asyncio.sleep(PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS) - 1)])
            tries += 1

    async def _ping(self) -> None:
        async with self._pinging:
            await self._ask("POST", f"/ping?request_ids={self.current or ''}")

    async def _ping_on(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            await self._ping()

    async def _hear_stops(self) -> None:
        while True:
            told = (await self._ask("GET", "/stops")).json()
            if self.current is not None and self.current in told["request_ids"]:
                self.stop.set()


def _kept(request: Request) -> dict[str, str]:
    return {name: request.headers[name] for name in (ERROR_TYPE, "Content-Type") if name in request.headers}


def _passed_on(answer: httpx.Response) -> Response:
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
    return Response(answer.content, answer.status_code, headers)
