"""Server-sent events (WHATWG HTML, section 9.2): a stream of named JSON documents, with heartbeats between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.responses import StreamingResponse

HEARTBEAT_SECONDS = 15.0


def event(name: str, document: str) -> bytes:
    """One event; `document` is JSON without line breaks."""
    return f"event: {name}\ndata: {document}\n\n".encode()


def event_stream(events: AsyncIterator[bytes], may_go_on: Callable[[], bool]) -> StreamingResponse:
    """A response that sends each event as it comes, and a comment when none came for a while.

    It ends instead of the first of either before which its reader may no more.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(with_heartbeats(events, HEARTBEAT_SECONDS, may_go_on), 200, headers, "text/event-stream")


async def with_heartbeats(
    events: AsyncIterator[bytes], heartbeat_seconds: float, may_go_on: Callable[[], bool] = lambda: True
) -> AsyncIterator[bytes]:
    """The events, and `: still here` comments whenever `heartbeat_seconds` pass without one."""
    coming: asyncio.Task[bytes] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(_next(events))
            done, _ = await asyncio.wait({coming}, timeout=heartbeat_seconds)
            if not may_go_on():
                return
            if not done:
                yield b": still here\n\n"
                continue
            finished, coming = coming, None
            try:
                yield finished.result()
            except _Ended:
                return
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


class _Ended(Exception):
    """The events are over; StopAsyncIteration itself cannot leave a task."""


async def _next(events: AsyncIterator[bytes]) -> bytes:
    try:
        return await anext(events)
    except StopAsyncIteration:
        raise _Ended from None
