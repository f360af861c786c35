"""The body of one request, and what becomes of its connection when the answer comes before the body's end.

What is left of a body would be read as the next request of the connection, and what a client never sent would be
taken from it. Sources: RFC 9112 section 9.3 and 9.6 (persistence, and a close that does not reset the connection
before the client has read the answer), RFC 9110 section 10.1.1 (Expect: 100-continue).
"""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from seatrial.domain.limits import REQUEST_LINGER_SECONDS_MAX, REQUEST_UNREAD_BYTES_MAX


class RequestBody:
    """Stands between the server and a door: `receive` is the door's, `answer` sends its response."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        self._scope = scope
        self._receive = receive
        self._left_bytes = int(length) if length.isdigit() else None  # None: not declared
        self._ended = not self._left_bytes and b"transfer-encoding" not in headers
        self._held_back = headers.get(b"expect", b"").lower() == b"100-continue"  # until the server says 100

    async def receive(self) -> Message:
        """The next message of the request; asking for it lets a client that waits for 100 go on."""
        self._held_back = False
        message = await self._receive()
        self._ended = message["type"] == "http.disconnect" or not message.get("more_body", False)
        if self._left_bytes is not None:
            self._left_bytes -= len(message.get("body", b""))
        return message

    async def answer(self, response: Response, send: Send) -> None:
        """Send the response: on a connection that lives on if the body is over, else on one that closes."""
        if await self._drained():
            await response(self._scope, self._receive, send)
            return
        response.headers["connection"] = "close"

        async def send_and_linger(message: Message) -> None:
            if message["type"] != "http.response.body" or message.get("more_body", False):
                await send(message)
                return
            await send({**message, "more_body": True})
            await self._linger()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await response(self._scope, self._receive, send_and_linger)

    async def _drained(self) -> bool:
        """Read the rest if it is on its way and short; True: nothing of the body is left."""
        # A client that was not told to continue may send its body, or its next request: nobody can tell which.
        if self._held_back or (self._left_bytes or 0) > REQUEST_UNREAD_BYTES_MAX:
            return self._ended
        read_bytes = 0
        while not self._ended and read_bytes <= REQUEST_UNREAD_BYTES_MAX:
            read_bytes += len((await self.receive()).get("body", b""))
        return self._ended

    async def _linger(self) -> None:
        """Let the client read the answer: closing on bytes that were not read would reset the connection."""
        try:
            async with asyncio.timeout(REQUEST_LINGER_SECONDS_MAX):
                while not self._ended:
                    await self.receive()
        except TimeoutError:
            return  # it has had its time
