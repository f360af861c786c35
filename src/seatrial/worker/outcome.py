"""What is sent of a piece of work that a handler has answered."""

from __future__ import annotations

import time
from typing import Any, Callable

# ruff: noqa: TID252  (the worker loads this package under a private name)
from . import protocol
from .answer import Answer, Outbox, checked
from .request import Request

Handle = Callable[[Request], Answer]


def done(handle: Handle, request: Request, started: float) -> tuple[dict[str, Any], list[bytes]]:
    """Call the handler; a `done` frame. `started` is by time.perf_counter.

    Raises:
        Exception: what the handler raised.
        NotSerialisable: what it returned cannot be sent.
    """
    answer = checked(handle(request))
    handler_ms = (time.perf_counter() - started) * 1_000
    outbox = Outbox(request.folder)
    header = {
        "type": protocol.DONE,
        "token": request.token,
        "media_type": answer.media_type,
        "body": outbox.put(answer.body),
        "parts": {name: outbox.put(payload) for name, payload in answer.parts.items()},
        "handler_ms": round(handler_ms, 3),
    }
    return header, outbox.segments


def begun(request: Request) -> protocol.Begun:
    """A `begun` frame, of now."""
    at_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    return {"type": protocol.BEGUN, "token": request.token, "at_ms": at_ms}
