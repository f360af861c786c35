"""`/healthz`: whether the parts that serving needs do answer, and which does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from seatrial import __version__
from seatrial.domain.limits import HEALTH_ANSWER_SECONDS_MAX, HEALTH_FRESH_MS
from seatrial.http.services import Services
from seatrial.ports.storage import as_unavailable

log = structlog.get_logger(__name__)


class Health:
    """Asks each part the cheapest question that it answers only when it works.

    The stores are asked to write, since most troubles still let them read. Anybody may ask, so an answer is told to
    all who ask within HEALTH_FRESH_MS.
    """

    def __init__(self, services: Services) -> None:
        self._clock = services.clock
        self._asked_ms = 0
        self._asking: asyncio.Task[Mapping[str, bool]] | None = None
        self._questions: Mapping[str, Callable[[], Awaitable[Any]]] = {
            "jobs": services.inspector.check,
            "objects": services.objects.check,
            "endpoints": services.registry.endpoints,
            "logs": services.logs.groups,
        }

    async def answer(self, request: Request) -> Response:
        """200 when every part answers, else 503; the body names each."""
        answers = await self._fresh()
        parts = {name: "ok" if well else "down" for name, well in answers.items()}
        well = all(answers.values())
        body = {"status": "ok" if well else "down", "version": __version__, "parts": parts}
        return JSONResponse(body, 200 if well else 503, {"Cache-Control": "no-store"})

    async def _fresh(self) -> Mapping[str, bool]:
        now_ms = self._clock.monotonic_ms()
        if self._asking is None or now_ms - self._asked_ms > HEALTH_FRESH_MS:
            self._asked_ms = now_ms
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Mapping[str, bool]:
        names = list(self._questions)
        return dict(zip(names, await asyncio.gather(*(self._answers(name) for name in names)), strict=True))

    async def _answers(self, name: str) -> bool:
        try:
            await asyncio.wait_for(self._questions[name](), HEALTH_ANSWER_SECONDS_MAX)
        except TimeoutError:
            log.warning("health.down", part=name, error=f"no answer within {HEALTH_ANSWER_SECONDS_MAX} s")
            return False
        except Exception as error:  # the named edge: whatever a part fails with, it is down and the log says why
            trouble = as_unavailable(error)
            log.warning("health.down", part=name, error=str(trouble), exc_info=None if trouble else error)
            return False
        return True
