"""Server-sent events: heartbeats between events, and everything closed when a reader leaves."""

import asyncio
from collections.abc import AsyncIterator

from seatrial.http.api.events import event, with_heartbeats


async def test_heartbeats_come_while_nothing_happens_and_no_event_is_lost() -> None:
    gate = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        yield event("job", "1")
        await gate.wait()
        yield event("job", "2")

    seen = []
    async for chunk in with_heartbeats(events(), heartbeat_seconds=0.01):
        seen.append(chunk)
        if chunk.startswith(b":"):
            gate.set()
    assert seen[0] == b"event: job\ndata: 1\n\n"
    assert seen[1] == b": still here\n\n"
    assert seen[-1] == b"event: job\ndata: 2\n\n"


async def test_a_reader_that_leaves_closes_the_source() -> None:
    closed = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        try:
            yield event("job", "1")
            await asyncio.Event().wait()
        finally:
            closed.set()

    stream = with_heartbeats(events(), heartbeat_seconds=0.01)
    assert await anext(stream) == b"event: job\ndata: 1\n\n"
    assert await anext(stream) == b": still here\n\n"
    await stream.aclose()
    assert closed.is_set()


async def test_a_reader_whose_key_has_ended_hears_no_more_even_while_nothing_happens() -> None:
    key_lives = True

    async def events() -> AsyncIterator[bytes]:
        yield event("job", "1")
        await asyncio.Event().wait()

    stream = with_heartbeats(events(), 0.01, lambda: key_lives)
    assert await anext(stream) == b"event: job\ndata: 1\n\n"
    assert await anext(stream) == b": still here\n\n"
    key_lives = False
    assert [one async for one in stream] == []
