"""An object's bytes as an answer."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from seatrial.ports.object_store import Reading


class ReadingResponse(StreamingResponse):
    """Streams a reading and closes it, also when the client goes away in the middle."""

    def __init__(self, reading: Reading, status_code: int, headers: Mapping[str, str]) -> None:
        super().__init__(reading.chunks, status_code, headers)
        self._reading = reading

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._reading.close()
