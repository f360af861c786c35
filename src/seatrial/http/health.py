"""`/healthz`: whether the parts that serving needs do answer, and which does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from seatrial import __version__
from seatrial.domain.jobs import JobFilter
from seatrial.domain.limits import HEALTH_ANSWER_SECONDS_MAX
from seatrial.http.services import Services

log = structlog.get_logger(__name__)


class Health:
    """Asks each part the cheapest question that it answers only when it works."""

    def __init__(self, services: Services) -> None:
        self._questions: Mapping[str, Callable[[], Awaitable[Any]]] = {
            "jobs": lambda: services.inspector.jobs(JobFilter(limit=1)),
            "objects": services.objects.buckets,
            "endpoints": services.deployer.endpoints,
            "logs": services.logs.groups,
        }

    async def answer(self, request: Request) -> Response:
        """200 when every part answers, else 503; the body names each."""
        names = list(self._questions)
        answers = await asyncio.gather(*(self._answers(name) for name in names))
        parts = {name: "ok" if well else "down" for name, well in zip(names, answers, strict=True)}
        well = all(answers)
        body = {"status": "ok" if well else "down", "version": __version__, "parts": parts}
        return JSONResponse(body, 200 if well else 503, {"Cache-Control": "no-store"})

    async def _answers(self, name: str) -> bool:
        try:
            await asyncio.wait_for(self._questions[name](), HEALTH_ANSWER_SECONDS_MAX)
        except Exception:  # the named edge: whatever a part fails with, it is down and the log says why
            log.exception("health.down", part=name)
            return False
        return True
