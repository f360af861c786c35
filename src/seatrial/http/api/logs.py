"""What workers wrote, and what the server said about an endpoint."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from seatrial.domain import errors
from seatrial.domain.credentials import KeyScope
from seatrial.domain.errors import BadInput
from seatrial.domain.limits import LIST_PAGE_MAX
from seatrial.domain.logs import LogFilter, LogLine
from seatrial.http.api.events import event, event_stream
from seatrial.http.api.views import LogLineView, LogPage
from seatrial.http.auth import needs, still_may
from seatrial.http.services import Services

FOLLOW_PAUSE_MS = 300
_AGO = re.compile(r"(\d{1,9})([smhdw])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def log_group(endpoint_name: str) -> str:
    """The group of an endpoint's lines, as SageMaker names it."""
    return f"/aws/sagemaker/Endpoints/{endpoint_name}"


def log_page(lines: Sequence[LogLine], limit: int) -> LogPage:
    """A page of lines."""
    return LogPage(lines=[LogLineView.of(line) for line in lines], next=lines[-1].id if len(lines) == limit else None)


def since_ms(text: str, now_ms: int) -> int:
    """`5m` (s, m, h, d, w ago), a time such as 2026-01-31T12:00:00Z, or milliseconds since the epoch.

    Raises:
        BadInput: none of these.
    """
    ago = _AGO.fullmatch(text)
    if ago:
        return now_ms - int(ago[1]) * _UNIT_MS[ago[2]]
    if text.isdecimal() and len(text) <= 15:
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        valid = "5m, 2h, 1d, a time such as 2026-01-31T12:00:00Z, or milliseconds since the epoch"
        raise BadInput(errors.INVALID_FIELD, f"{text!r} is not a time.", field="since", valid=valid) from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


class LogRoutes:
    """Logs of an endpoint; they outlive it."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def router(self) -> APIRouter:
        """The routes, under /v1/endpoints."""
        router = APIRouter(prefix="/v1/endpoints", tags=["logs"])
        router.add_api_route(
            "/{name}/logs",
            self.logs,
            methods=["GET"],
            response_model=LogPage,
            summary="Read or follow an endpoint's log",
            responses={200: {"content": {"text/event-stream": {}}}},
            dependencies=[needs(KeyScope.READ)],
        )
        return router

    async def logs(
        self,
        name: str,
        request: Request,
        since: Annotated[str | None, Query(description="5m, 2h, a time, or ms since the epoch.")] = None,
        job: Annotated[str | None, Query(description="Only lines of this job.")] = None,
        follow: Annotated[bool, Query(description="Go on as server-sent events, one `line` each.")] = False,
        after: Annotated[int | None, Query(description="The `next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=LIST_PAGE_MAX)] = LIST_PAGE_MAX,
    ) -> Response | LogPage:
        """Lines, oldest first."""
        group = log_group(name)
        if group not in await self._services.logs.groups():
            await self._services.deployer.endpoint(name)  # an unknown name is an error, a silent endpoint is not
        start_ms = None if since is None else since_ms(since, self._services.clock.now_ms())
        which = LogFilter(group, since_ms=start_ms, job_id=job, after_id=after, limit=limit)
        if follow:
            may_go_on = partial(still_may, request, self._services.keyring, KeyScope.READ, name)
            return event_stream(self._follow(which, may_go_on), may_go_on)
        return log_page(await self._services.logs.lines(which), limit)

    async def _follow(self, which: LogFilter, may_go_on: Callable[[], bool]) -> AsyncIterator[bytes]:
        while may_go_on():
            lines = await self._services.logs.lines(which)
            for line in lines:
                yield event("line", LogLineView.of(line).model_dump_json())
            if lines:
                which = replace(which, after_id=lines[-1].id)
            else:
                await self._services.clock.sleep_ms(FOLLOW_PAUSE_MS)
